// How the state store fails, in words: where, what is wrong, and what to do about it.

import type { StateAddress } from './state.ts';

export type StateTrouble =
  | 'locked'
  | 'full'
  | 'unreachable'
  | 'denied'
  | 'newer'
  | 'broken'
  | 'failed';

export class StateError extends Error {
  readonly trouble: StateTrouble;
  readonly fix: string;

  constructor(trouble: StateTrouble, message: string, fix: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StateError';
    this.trouble = trouble;
    this.fix = fix;
  }
}

type Words = readonly [trouble: StateTrouble, what: string, fix: string];

const shared = 'several gateways share a PostgreSQL server (`state: postgres://…`), never a file';

// Primary result codes, https://sqlite.org/rescode.html
const sqliteWords: ReadonlyMap<number, Words> = new Map([
  [3, ['denied', 'this user may not write it', 'give it to the user the gateway runs as']],
  [5, ['locked', 'another process has it open', `stop that one; ${shared}`]],
  [8, ['denied', 'it cannot be written', 'check permissions, and that the disk is not read-only']],
  [10, ['failed', 'the disk failed', 'look into the log of the system']],
  [11, ['broken', 'it is damaged', 'restore a backup, or move it away to begin anew']],
  [13, ['full', 'the disk is full', 'make room']],
  [14, ['denied', 'it cannot be opened', 'check that its folder exists and may be written']],
  [26, ['broken', 'it is no SQLite database', 'name another file, or move it away']],
]);

// SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html, and what the system says of a connection
const postgresWords: ReadonlyMap<string, Words> = new Map([
  ['28P01', ['denied', 'the password is wrong', 'check user and password in `state`']],
  ['28000', ['denied', 'this user may not connect', 'check the user, TLS, and pg_hba.conf']],
  ['42501', ['denied', 'this user may not do that', 'let it create tables in its schema']],
  ['3D000', ['unreachable', 'there is no such database', 'create it, or correct `state`']],
  ['53100', ['full', 'the disk of the server is full', 'make room']],
  ['53300', ['unreachable', 'the server has too many connections', 'raise max_connections']],
  ['57P01', ['unreachable', 'the server has closed the connection', 'wait, it is tried again']],
  ['57P03', ['unreachable', 'the server is starting', 'wait, it is tried again']],
  ['ECONNREFUSED', ['unreachable', 'nobody listens there', 'start the server, or correct `state`']],
  ['ENOTFOUND', ['unreachable', 'its name does not resolve', 'correct `state`']],
  ['ETIMEDOUT', ['unreachable', 'it does not answer', 'check the network']],
]);

/** The same error in words; never with a password: that of a URL stays where it is. */
export function stateErrorOf(error: unknown, address: StateAddress): StateError {
  const where = placeOf(address);
  if (error instanceof StateError) {
    if (error.message.startsWith('state ')) return error;
    return new StateError(
      error.trouble,
      `state ${where}: ${error.message}`,
      error.fix,
      error.cause,
    );
  }
  const [trouble, what, fix] = wordsFor(error, address);
  return new StateError(trouble, `state ${where}: ${what}`, fix, error);
}

function wordsFor(error: unknown, { kind }: StateAddress): Words {
  const { code, errcode, message } = Object(error) as Record<string, unknown>;
  const found =
    typeof errcode === 'number'
      ? sqliteWords.get(errcode & 0xff)
      : (postgresWords.get(String(code)) ?? systemWords(code, kind));
  if (found !== undefined) return found;
  const text = typeof message === 'string' ? message : 'unknown';
  // A connection that breaks has no code of its own.
  const broke = kind === 'postgres' && /timeout|terminated|connection/i.test(text);
  return [broke ? 'unreachable' : 'failed', text, 'look at the cause in the log'];
}

function systemWords(code: unknown, kind: StateAddress['kind']): Words | undefined {
  if (kind === 'postgres' || typeof code !== 'string') return undefined;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOENT':
    case 'EEXIST':
    case 'ENOTDIR':
      return [
        'denied',
        `it cannot be made (${code})`,
        'name a file that may be written in `state`',
      ];
    case 'ENOSPC':
      return ['full', 'the disk is full', 'make room'];
    default:
      return undefined;
  }
}

/** A path, or a URL without what is secret in it. */
export function placeOf(address: StateAddress): string {
  switch (address.kind) {
    case 'memory':
      return 'in memory';
    case 'file':
      return `\`${address.file}\``;
    case 'postgres': {
      const url = URL.parse(address.url);
      return url === null ? 'server' : `\`postgres://${url.host}${url.pathname}\``;
    }
  }
}
