// Brings the log lines of workers into the log of the primary: several writers on one pipe would tear long lines.

import type { Readable } from 'node:stream';
import { type Log, passOn } from '../../runtime/log.ts';

/** Whole lines only; one that a killed worker did not finish is lost with it. */
export function relayLines(output: Readable, log: Log): void {
  let rest = '';
  output.setEncoding('utf8');
  output.on('data', (text: string) => {
    const lines = rest + text;
    const end = lines.lastIndexOf('\n') + 1;
    rest = lines.slice(end);
    for (const line of lines.slice(0, end).match(/[^\n]*\n/g) ?? []) passOn(log, line);
  });
  output.on('error', () => undefined);
}
