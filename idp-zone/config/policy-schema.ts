// What zones.yaml and sign-on.yaml look like.
import { z } from 'zod';
import { parseAddress } from '../../dtr-rules/address.ts';
import { durationMs, httpUrl, name, optional, secretText, section } from '../../runtime/schema.ts';
import type { TestOrigin } from '../decision/run-tests.ts';
import { addressRange, refuseDoubles, title } from './fields.ts';

const list = () => z.array(title()).default([]);

const feed = section({
  url: httpUrl(),
  token: optional(secretText()),
  refresh: durationMs({ minMs: 1_000, maxMs: 86_400_000 }).prefault('30s'),
}).transform(({ refresh, ...rest }) => ({ ...rest, refreshMs: refresh }));

const zone = section({
  name: name(),
  gateways: z.array(addressRange()).default([]),
  proxies: z.array(addressRange()).default([]),
  feed: optional(feed),
}).refine(({ gateways, feed }) => gateways.length > 0 || feed !== null, {
  message: 'a zone without gateways holds nobody, expected `gateways` or a `feed`',
});

export const zonesFile = section({ zones: z.array(zone).default([]) }).superRefine(
  ({ zones }, context) => refuseDoubles(zones, 'zones', context),
);

const network = section({
  zones: optional(z.array(name()).min(1)),
  notZones: z.array(name()).default([]),
}).refine(({ zones, notZones }) => zones !== null || notZones.length > 0, {
  message: 'expected `zones` or `notZones`; leave `network` out for anywhere',
});

const rule = section({
  name: title(),
  people: optional(
    section({ users: list(), groups: list(), excludeUsers: list(), excludeGroups: list() }),
  ),
  network: optional(network),
  clients: optional(z.array(title()).min(1)),
  access: z.enum(['ALLOW', 'DENY']),
  reportOnly: z.boolean().default(false),
  message: optional(z.string().min(1).max(500)),
  help: optional(httpUrl()),
});

const test = section({
  name: title(),
  user: title(),
  groups: list(),
  address: optional(z.string()),
  zones: optional(z.array(name())),
  client: title(),
  expect: z.enum(['ALLOW', 'DENY']),
  rule: optional(title()),
}).transform(({ address, zones, ...rest }, context) => {
  const origin = originOf(address, zones);
  if (origin !== null) return { ...rest, origin };
  const message = 'expected either `address` with one IP address, or `zones`';
  context.addIssue({ code: 'custom', message, input: address });
  return z.NEVER;
});

export const signOnFile = section({
  help: optional(httpUrl()),
  rules: z.array(rule),
  tests: z.array(test).default([]),
}).superRefine(({ rules }, context) => refuseDoubles(rules, 'rules', context));

function originOf(address: string | null, zones: readonly string[] | null): TestOrigin | null {
  if (zones !== null) return address === null ? { kind: 'zones', zones } : null;
  const parsed = parseAddress(address ?? '');
  return parsed === null ? null : { kind: 'address', address: parsed };
}
