// Speaks with the admin API of the gateway that a configuration describes, with a token from it.

import { request } from 'undici';
import type { DeviceBlock } from '../../gateway/decision/block.ts';
import type { DeviceRow } from '../../gateway/device-row.ts';
import { findConfigFile } from '../config-file.ts';
import { loadEverything } from '../load.ts';
import { plural, say, sayIssues, UsageError } from '../output.ts';

export type AdminAnswer<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly status: number; readonly problem: Problem };

/** RFC 9457. */
export interface Problem {
  readonly detail: string;
  readonly errors?: readonly { readonly detail: string; readonly pointer: string }[];
}

export interface AdminApi {
  ask<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<AdminAnswer<T>>;
}

const deadlineMs = 30_000;

/** Of a device, as the running gateway knows it; one that does not run is said, and blocks nobody. */
export async function blockOf(device: string, config: string): Promise<DeviceBlock | null> {
  try {
    const api = await findAdminApi(config);
    const path = `/devices/${encodeURIComponent(device)}`;
    const answer = await api?.ask<DeviceRow>('GET', path);
    const block = answer?.ok === true ? answer.body.block : null;
    if (block === null) return null;
    const { reason, by, since, until } = block;
    const ends = until === null ? null : Date.parse(until);
    const deviceId = device.toLowerCase();
    return { deviceId, reason, by, since: Date.parse(since ?? ''), until: ends };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`blocks are not looked at: ${error.message}`);
    return null;
  }
}

/** Null: the configuration has issues, which have been said. */
export async function findAdminApi(config: string | undefined): Promise<AdminApi | null> {
  const file = findConfigFile(config);
  const read = await loadEverything(file);
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return null;
  }
  const { listen, tokens } = read.all.common.admin;
  const [token] = tokens;
  if (token === undefined) {
    throw new UsageError(`${file} has no \`admin.tokens\`: without one nobody may ask the gateway`);
  }
  const host = listen.host === '' || listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host;
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
  return { ask: (method, path, body) => ask({ origin, token, method, path, body }) };
}

interface Asked {
  readonly origin: string;
  readonly token: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** What it answers is of this program's own version: its shape is taken for granted. */
async function ask<T>({ origin, token, method, path, body }: Asked): Promise<AdminAnswer<T>> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  try {
    const signal = AbortSignal.timeout(deadlineMs);
    const answer = await request(`${origin}/api/v1${path}`, { method, headers, signal, ...sent });
    const { statusCode: status } = answer;
    const json = await answer.body.json();
    if (status < 300) return { ok: true, body: json as T };
    return { ok: false, status, problem: json as Problem };
  } catch (error) {
    const message = `the gateway does not answer at ${origin}; is it running with this configuration?`;
    throw new UsageError(message, { cause: error });
  }
}
