// The posture sources of the configuration: the keys of each kind, one source or several in order.

import { z } from 'zod';
import { httpUrl, name, optional, secretText, section } from '../../runtime/schema.ts';
import { intuneIds } from '../posture/intune-device.ts';

const file = z.string().min(1).meta({ description: 'a path, relative to the configuration file' });

/** See `OrderedSource` in gateway/posture/asking-in-order.ts. */
const whileDown = z.enum(['refuse', 'next']).default('refuse');

/** What a UEM shows when it tells of a change: HTTP Basic, or a bearer token. */
export const webhook = z.union([
  section({ username: z.string().min(1), password: secretText() }).transform((pair) => ({
    kind: 'basic' as const,
    ...pair,
  })),
  section({ token: secretText() }).transform(({ token }) => ({ kind: 'bearer' as const, token })),
]);

const workspaceOne = section({
  kind: z.literal('workspace-one'),
  name: name().default('uem'),
  whileDown,
  url: httpUrl(),
  auth: z.discriminatedUnion('kind', [
    section({
      kind: z.literal('oauth'),
      tokenUrl: httpUrl(),
      clientId: z.string().min(1),
      clientSecret: secretText(),
    }),
    section({ kind: z.literal('basic'), username: z.string().min(1), password: secretText() }),
  ]),
  tenantCode: optional(z.string().min(1)),
  authority: optional(file),
  webhook: optional(webhook),
});

const jamf = section({
  kind: z.literal('jamf'),
  name: name().default('jamf'),
  whileDown,
  url: httpUrl(),
  tokenUrl: optional(httpUrl()),
  clientId: z.string().min(1),
  clientSecret: secretText(),
  inventories: z
    .array(z.enum(['computer', 'mobile']))
    .min(1)
    .default(['computer', 'mobile']),
  identifier: z.enum(['udid', 'serial']).default('udid'),
  compliantGroup: z.string().min(1),
  compromisedGroup: optional(z.string().min(1)),
  authority: optional(file),
  webhook: optional(webhook),
});

/** Credentials go there: in the clear only to this machine. */
const safeUrl = httpUrl().refine((text) => isSafe(text), 'expected an https URL');

const intune = section({
  kind: z.literal('intune'),
  name: name().default('intune'),
  whileDown,
  tenant: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9.-]{2,252}$/, 'expected the id or a domain of the directory'),
  clientId: z.string().min(1),
  clientSecret: secretText(),
  identifier: z.enum(intuneIds).default('azureADDeviceId'),
  url: safeUrl.prefault('https://graph.microsoft.com'),
  login: safeUrl.prefault('https://login.microsoftonline.com'),
  authority: optional(file),
});

const inventory = section({
  kind: z.literal('inventory'),
  name: name().default('inventory'),
  whileDown,
  file,
});

const source = z.discriminatedUnion('kind', [workspaceOne, intune, jamf, inventory]);

export type SourceConfig = z.output<typeof source>;

function isSafe(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || /^(localhost|127\..*|\[::1\])$/.test(hostname);
}

interface Sources {
  readonly source: SourceConfig | null;
  readonly sources: readonly SourceConfig[] | null;
}

export const sourceKeys = {
  source: optional(source),
  sources: optional(z.array(source).min(1).max(16)),
} as const;

/** In their declared order, each with where it stands below `posture`. */
export function sourcesOf({ source, sources }: Sources): readonly PlacedSource[] {
  const single = source === null ? [] : [{ source, path: ['source'] }];
  const several = (sources ?? []).map((one, at) => ({ source: one, path: ['sources', at] }));
  return [...single, ...several];
}

export interface PlacedSource {
  readonly source: SourceConfig;
  readonly path: readonly (string | number)[];
}

/** Exactly one way to say it, and no name twice: reports, metrics and webhooks are told apart by it. */
export function checkSources(posture: Sources, context: z.RefinementCtx): void {
  const { source, sources } = posture;
  const refuse = (path: (string | number)[], message: string, hint: string): void =>
    context.addIssue({ code: 'custom', path, message, input: undefined, params: { hint } });
  if (source === null && sources === null) {
    refuse([], 'a posture source is missing', 'add `source`, or several in order as `sources`');
  }
  if (source !== null && sources !== null) {
    refuse(['sources'], 'both `source` and `sources` are given', 'put all of them into `sources`');
    return;
  }
  const seen = new Set<string>();
  for (const { source, path } of sourcesOf(posture)) {
    if (seen.has(source.name)) {
      const message = `two sources are called \`${source.name}\``;
      refuse([...path, 'name'], message, 'give each a `name` of its own');
    }
    seen.add(source.name);
  }
}
