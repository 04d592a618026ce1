// What sign-on.yaml looks like.
import { z } from 'zod';
import { parseAddress } from '../../dtr-rules/address.ts';
import { httpUrl, name, optional, section } from '../../runtime/schema.ts';
import type { TestOrigin } from '../decision/run-tests.ts';
import { refuseDoubles, title } from './fields.ts';

const list = () => z.array(title()).default([]);

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
