// Runs the parts of a process until a signal: drains, closes, reloads, and says with which code to exit.
import { type Log, reopenLog } from './log.ts';
import type { Readiness } from './readiness.ts';

export interface Part {
  readonly name: string;
  readonly drain?: (signal: AbortSignal) => Promise<void>; // lets work end; stops waiting when aborted
  readonly close: () => Promise<void>;
}

export interface SignalSource {
  on(signal: string, listener: () => void): unknown;
  off(signal: string, listener: () => void): unknown;
}

export interface RunOptions {
  readonly parts: readonly Part[]; // in the order in which they stop
  readonly readiness: Readiness;
  readonly reload: () => Promise<void>;
  readonly log: Log;
  readonly drainMs: number;
  readonly say: (text: string) => void;
  readonly signals?: SignalSource; // the process, unless a test plays it
}

type StopSignal = 'SIGINT' | 'SIGTERM';
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export async function runUntilSignal(options: RunOptions): Promise<number> {
  const { log, say, signals = process } = options;
  const stops = listenForStops(signals);
  const reload = createReloader(options);
  signals.on('SIGHUP', reload.request);
  try {
    const first = await stops.next();
    options.readiness.set('lifecycle', 'draining before shutdown');
    log.info({ signal: first, drain_ms: options.drainMs }, 'draining');
    if (first === 'SIGINT') say('draining, again to stop now');
    const cut = await stopParts(options, stops);
    return cut === null ? 0 : EXIT_CODES[cut];
  } finally {
    stops.close();
    signals.off('SIGHUP', reload.request);
    log.flush();
  }
}

interface Stops {
  next(): Promise<StopSignal>; // one not yet handed out
  close(): void;
}

function listenForStops(signals: SignalSource): Stops {
  const arrived: StopSignal[] = [];
  const waiting: ((signal: StopSignal) => void)[] = [];
  const listen = (signal: StopSignal) => () => {
    const wake = waiting.shift();
    if (wake === undefined) arrived.push(signal);
    else wake(signal);
  };
  const [onInt, onTerm] = [listen('SIGINT'), listen('SIGTERM')];
  signals.on('SIGINT', onInt);
  signals.on('SIGTERM', onTerm);
  return {
    next: () =>
      new Promise((resolve) => {
        const signal = arrived.shift();
        if (signal === undefined) waiting.push(resolve);
        else resolve(signal);
      }),
    close() {
      signals.off('SIGINT', onInt);
      signals.off('SIGTERM', onTerm);
    },
  };
}

// The signal that cut stopping short, or null when everything had its time.
async function stopParts(options: RunOptions, stops: Stops): Promise<StopSignal | null> {
  const { log, parts } = options;
  const drain = new AbortController();
  const limit = setTimeout(() => drain.abort(), options.drainMs);
  const second = stops.next();
  const cut = second.then((signal) => {
    drain.abort();
    return signal;
  });
  const aborted = once(drain.signal);
  for (const { name, drain: drainPart } of parts) {
    if (drainPart === undefined || drain.signal.aborted) continue;
    // An aborted drain is not waited for: a part that ignores its signal cannot hold the process.
    await Promise.race([attempt(log, name, 'drain', () => drainPart(drain.signal)), aborted]);
  }
  clearTimeout(limit);
  const wasCut = await Promise.race([cut, Promise.resolve(null)]);
  const closed = closeParts(options);
  // Closing waits for what must be written; one more signal ends that too.
  const cutClosing = wasCut === null ? cut : stops.next();
  const ended = await Promise.race([closed, cutClosing]);
  return wasCut ?? ended;
}

async function closeParts({ log, parts }: RunOptions): Promise<null> {
  for (const part of parts) await attempt(log, part.name, 'close', part.close);
  return null;
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

// One part's trouble must not keep the others from stopping.
async function attempt(
  log: Log,
  part: string,
  step: 'drain' | 'close',
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.error({ part, step, err: error }, 'a part did not stop cleanly');
  }
}

// Reloads one at a time; any number of requests during one lead to one more.
function createReloader(options: Pick<RunOptions, 'reload' | 'log'>): { request: () => void } {
  let running = false;
  let again = false;
  const run = async () => {
    running = true;
    do {
      again = false;
      try {
        await options.reload();
      } catch (error) {
        options.log.error({ err: error }, 'reload failed; what was in force stays in force');
      }
    } while (again);
    running = false;
  };
  return {
    request() {
      reopenLog(options.log);
      again = running;
      if (!running) void run();
    },
  };
}
