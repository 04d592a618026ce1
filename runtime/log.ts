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

export function createLog(options: LogOptions): Log {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: 'zonegate' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: createLineCleaner(options.secrets) },
  };
  // Asynchronous: a slow reader of our output must not hold up tunnels. Pino writes the rest at exit.
  return pino(
    settings,
    options.stream ?? pino.destination({ dest: options.file ?? 1, sync: false }),
  );
}

// After a log file was moved away, goes on in a new one of its name; stdout needs nothing.
export function reopenLog(log: Log): void {
  const { [pino.symbols.streamSym]: stream } = log as unknown as Record<symbol, unknown>;
  if (isLogFile(stream)) stream.reopen();
}

function isLogFile(stream: unknown): stream is { readonly file: string; reopen(): void } {
  return (
    typeof stream === 'object' &&
    stream !== null &&
    'file' in stream &&
    stream.file !== null &&
    'reopen' in stream
  );
}
