// Reads what is piped into a command.

import { buffer } from 'node:stream/consumers';

export function readStandardInput(): Promise<Buffer> {
  return buffer(process.stdin);
}
