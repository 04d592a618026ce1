// How a configuration names the state: a file, a PostgreSQL server, or memory.

import { resolve } from 'node:path';
import { z } from 'zod';
import type { StateAddress } from './state.ts';

const example = 'postgres://zonegate@db.example.com/zonegate?sslmode=verify-full';

/** A path, `memory`, or a URL whose password may come from `${file:…}`; read into how the folder of the configuration
 *  makes an address of it. */
export function stateSchema() {
  return z
    .string()
    .min(1)
    .meta({ description: 'a file, `memory`, or the URL of a PostgreSQL database' })
    .transform((text, context) => {
      const read = readState(text);
      if (read !== null) return read;
      const params = { hint: `for example \`zonegate.db\` or \`${example}\`` };
      const message = 'expected a file, `memory`, or the URL of a PostgreSQL database';
      // It may hold a password: it is not shown.
      context.addIssue({ code: 'custom', message, params });
      return z.NEVER;
    });
}

function readState(text: string): StateAddress | null {
  if (text === 'memory') return { kind: 'memory' };
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { kind: 'file', file: text };
  const url = URL.parse(text);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) return null;
  return url.pathname.length > 1 ? { kind: 'postgres', url: text } : null;
}

/** With the path of a file made absolute. */
export function stateIn(folder: string, address: StateAddress): StateAddress {
  return address.kind === 'file' ? { ...address, file: resolve(folder, address.file) } : address;
}

/** What of it must never be printed. */
export function stateSecrets(address: StateAddress): readonly string[] {
  if (address.kind !== 'postgres') return [];
  const password = URL.parse(address.url)?.password ?? '';
  return password === '' ? [] : [address.url, password, decodeURIComponent(password)];
}
