// Upstream proxies: what zonegate.yaml may say of them, and the proxies that come of it.

import { z } from 'zod';
import { parseAddress } from '../../dtr-rules/address.ts';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';
import type { Issue } from '../../runtime/issue.ts';
import { name, optional, secretText, section } from '../../runtime/schema.ts';
import type { Policy } from '../decision/policy.ts';
import type { Upstream, UpstreamServer } from '../edge/upstream.ts';
import { serverName } from '../edge/upstream-rests.ts';

const host = z
  .string()
  .meta({ description: 'an address or a host name' })
  .transform((text, context) => {
    const read = parseAddress(text)?.text ?? canonicalHostname(text);
    if (read !== null) return read;
    context.addIssue({
      code: 'custom',
      message: 'expected an address or a host name',
      input: text,
    });
    return z.NEVER;
  });

const serverShape = {
  host,
  port: z.int().min(1).max(65_535),
  username: optional(z.string().min(1)),
  password: optional(secretText()),
  tls: z.boolean().default(false),
  authority: optional(z.string().min(1).meta({ description: 'a path' })),
};
const server = section(serverShape).superRefine(refuseHalves);

/** What is said only by mistake would be silently of no use. */
function refuseHalves(
  given: {
    readonly [key in 'tls' | 'authority' | 'username' | 'password']: unknown;
  },
  context: z.RefinementCtx,
): void {
  const refuse = (key: string, message: string, hint: string): void =>
    context.addIssue({ code: 'custom', path: [key], message, input: given, params: { hint } });
  if (given.authority !== null && given.tls !== true) {
    refuse('authority', 'an authority is for `tls: true` only', 'set `tls: true`, or leave it out');
  }
  if (given.password !== null && given.username === null) {
    refuse('password', 'a password is for a `username` only', 'name the user, or leave it out');
  }
}

type Server = z.output<typeof server>;

/** One server written out, or several below `servers`. */
export const upstreamsSchema = z
  .record(
    name(),
    z.union([
      server.transform((one) => ({ servers: [one], isList: false })),
      section({ servers: z.array(server).min(1).max(16) }).transform((all) => ({
        ...all,
        isList: true,
      })),
    ]),
  )
  .default({});

export type UpstreamsConfig = z.output<typeof upstreamsSchema>;

/** Reads the authorities; an issue of `read` stands where the file is named. */
export async function readUpstreams(
  config: UpstreamsConfig,
  read: (file: string, path: Issue['path']) => Promise<Buffer | null>,
): Promise<ReadonlyMap<string, Upstream>> {
  const upstreams = new Map<string, Upstream>();
  for (const [name, { servers, isList }] of Object.entries(config)) {
    const made: UpstreamServer[] = [];
    for (const [i, one] of servers.entries()) {
      const path = ['upstreams', name, ...(isList ? ['servers', i] : []), 'authority'];
      const authority = one.authority === null ? null : await read(one.authority, path);
      made.push(serverOf(one, authority?.toString() ?? null));
    }
    upstreams.set(name, { name, servers: made });
  }
  return upstreams;
}

/** What judging needs to know of them. */
export function listedServers(upstreams: ReadonlyMap<string, Upstream>): Policy['upstreams'] {
  return new Map(
    [...upstreams.values()].map(({ name, servers }) => [name, new Set(servers.map(serverName))]),
  );
}

function serverOf(
  { host, port, username, password, tls }: Server,
  authority: string | null,
): UpstreamServer {
  const credentials = Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64');
  const authorization = username === null ? null : `Basic ${credentials}`;
  return { host, port, authorization, tls: tls ? { authority } : null };
}
