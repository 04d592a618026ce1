// The log: one event is one line of JSON, without secrets and without raw control characters.
import pino from 'pino';
import { createLineCleaner } from './log-line.ts';
import { type LogOutput, openLogOutput } from './log-output.ts';
import { createLogTime } from './log-time.ts';
import type { Metrics } from './metrics.ts';

export type Log = pino.Logger;

export interface LogOptions {
  readonly level: string;
  readonly secrets: readonly string[];
  readonly fields?: Readonly<Record<string, unknown>>; // in every line
  readonly file?: string; // instead of stdout
  readonly stream?: { write(line: string): void }; // instead of both
}

interface Cleaner {
  readonly secrets: Set<string>;
  readonly clean: (line: string) => string;
  readonly time: () => string;
}

const cleanerBy = new WeakMap<object, Cleaner>();

export function createLog(options: LogOptions): Log {
  const secrets = new Set(options.secrets);
  const clean = createLineCleaner(secrets);
  const recovered = (lines: number): void => {
    const fields = { 'event.name': 'zonegate.log', 'zonegate.log.lost': lines };
    log.warn(fields, 'log lines were lost');
  };
  const stream = options.stream ?? openLogOutput({ dest: options.file ?? 1, recovered });
  const time = createLogTime();
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: 'zonegate', ...options.fields },
    timestamp: time,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: clean },
  };
  const log = pino(settings, stream);
  cleanerBy.set(streamOf(log), { secrets, clean, time });
  return log;
}

// A reload brings new secrets; the old ones stay secret. Holds for the children of the log too.
export function hideSecrets(log: Log, secrets: readonly string[]): void {
  const known = cleanerBy.get(streamOf(log))?.secrets;
  for (const secret of secrets) known?.add(secret);
}

// The same line as `log.info(fields, msg)` makes, in one go: pino writes field by field. For
// what is logged for every request; errors and other values that need a serializer go the usual way.
export function inform(
  log: Log,
  fields: Readonly<Record<string, unknown>> & { readonly msg: string },
): void {
  if (!log.isLevelEnabled('info')) return;
  const { [pino.symbols.chindingsSym]: bindings } = log as unknown as Record<symbol, string>;
  const stream = streamOf(log) as { write(line: string): void };
  const cleaner = cleanerBy.get(stream);
  if (cleaner === undefined) {
    log.info(fields);
    return;
  }
  const rest = JSON.stringify(fields).slice(1);
  stream.write(cleaner.clean(`{"level":"info"${cleaner.time()}${bindings},${rest}\n`));
}

// A line that another process has made, as it is: it has been cleaned there.
export function passOn(log: Log, line: string): void {
  const stream = streamOf(log);
  if ('write' in stream && typeof stream.write === 'function') stream.write(line);
}

// After a log file was moved away, goes on in a new one of its name; stdout needs nothing.
export function reopenLog(log: Log): void {
  const stream = streamOf(log);
  if (isOutput(stream)) stream.reopen();
}

// Counts the lines that could not be written: no space, nobody who reads.
export function countLostLines(log: Log, metrics: Pick<Metrics, 'counter'>): void {
  const lost = metrics.counter(
    'zonegate_log_lines_lost_total',
    'Log lines that could not be written: no space, or nobody who reads them.',
  );
  const stream = streamOf(log);
  if (isOutput(stream)) stream.onLost((lines) => lost.inc(lines));
}

function streamOf(log: Log): object {
  const { [pino.symbols.streamSym]: stream } = log as unknown as Record<symbol, object>;
  return stream ?? log;
}

function isOutput(stream: object): stream is LogOutput {
  return 'reopen' in stream;
}
