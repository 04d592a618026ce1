// The log: one event is one line of JSON, without secrets and without raw control characters.
import pino from 'pino';
import { createLineCleaner } from './log-line.ts';

export type Log = pino.Logger;

export interface LogOptions {
  readonly level: string;
  readonly secrets: readonly string[];
  readonly file?: string; // instead of stdout
  readonly stream?: { write(line: string): void }; // instead of both
}

const secretsBy = new WeakMap<object, Set<string>>();
const outputBy = new WeakMap<object, ReturnType<typeof openOutput>>();

export function createLog(options: LogOptions): Log {
  const secrets = new Set(options.secrets);
  const clean = createLineCleaner(secrets);
  const output = options.stream === undefined ? openOutput(options.file ?? 1) : null;
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: 'zonegate' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: {
      streamWrite(line) {
        const cleaned = clean(line);
        output?.comes(cleaned);
        return cleaned;
      },
    },
  };
  const log = pino(settings, options.stream ?? output?.destination);
  secretsBy.set(streamOf(log), secrets);
  if (output !== null) outputBy.set(streamOf(log), output);
  return log;
}

// A reload brings new secrets; the old ones stay secret. Holds for the children of the log too.
export function hideSecrets(log: Log, secrets: readonly string[]): void {
  const known = secretsBy.get(streamOf(log));
  for (const secret of secrets) known?.add(secret);
}

// A write for every line costs a busy gateway 4 % of its CPU time. A line after a pause leaves
// at once, those that follow it closely leave together: a page of them, or what there is after 5 ms.
const PAGE_BYTES = 4096;
const TOGETHER_MS = 5;

function openOutput(dest: string | number) {
  // Asynchronous: a slow reader of our output must not hold up tunnels. Pino writes the rest at exit.
  const destination = pino.destination({ dest, sync: false, minLength: PAGE_BYTES });
  let unwritten = 0;
  let isBroken = false;
  let next: NodeJS.Timeout | null = null;
  destination.on('write', (bytes: number) => {
    // An empty write tells that nothing was left.
    unwritten = bytes === 0 ? 0 : unwritten - bytes;
  });
  // Nobody reads any more: pino forgets what comes. Anything else is a fault, as it would be without us.
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    isBroken = true;
  });
  // Goes on until all is written: what comes during a slow write is not flushed by it.
  const leave = (): void => {
    next = null;
    if (unwritten <= 0 || isBroken) return;
    destination.flush();
    next = setTimeout(leave, TOGETHER_MS).unref();
  };
  const comes = (line: string): void => {
    unwritten += Buffer.byteLength(line);
    if (next !== null || isBroken) return;
    next = setTimeout(leave, TOGETHER_MS).unref();
    queueMicrotask(() => destination.flush());
  };
  return { destination, comes };
}

// A line that another process has made, as it is: it has been cleaned there.
export function passOn(log: Log, line: string): void {
  const stream = streamOf(log);
  outputBy.get(stream)?.comes(line);
  if (isWritable(stream)) stream.write(line);
}

function isWritable(stream: object): stream is { write(line: string): unknown } {
  return 'write' in stream;
}

// After a log file was moved away, goes on in a new one of its name; stdout needs nothing.
export function reopenLog(log: Log): void {
  const stream = streamOf(log);
  if (isLogFile(stream)) stream.reopen();
}

function streamOf(log: Log): object {
  const { [pino.symbols.streamSym]: stream } = log as unknown as Record<symbol, object>;
  return stream ?? log;
}

function isLogFile(stream: object): stream is { readonly file: string; reopen(): void } {
  return 'file' in stream && stream.file !== null && 'reopen' in stream;
}
