// What sign-on.yaml looks like.
import { z } from 'zod';
import { parseAddress } from '../../dtr-rules/address.ts';
import { httpUrl, name, optional, section } from '../../runtime/schema.ts';
import { platforms, risks } from '../decision/conditions.ts';
import type { TestOrigin } from '../decision/run-tests.ts';
import { moment, refuseDoubles, title } from './fields.ts';

const list = () => z.array(title()).default([]);

const network = section({
  zones: optional(z.array(name()).min(1)),
  notZones: z.array(name()).default([]),
}).refine(({ zones, notZones }) => zones !== null || notZones.length > 0, {
  message: 'expected `zones` or `notZones`; leave `network` out for anywhere',
});

const given = () => optional(z.boolean());

// Okta's rule: an unregistered device is neither managed nor not managed, so the two cannot be told apart without it.
const device = section({ registered: given(), managed: given(), compliant: given() })
  .refine((asked) => Object.values(asked).some((value) => value !== null), {
    message: 'expected `registered`, `managed` or `compliant`; leave `device` out for any',
  })
  .refine(
    ({ registered, managed, compliant }) =>
      registered === true || (managed === null && compliant === null),
    {
      message:
        'only a registered device is managed or compliant, or not: expected `registered: true` beside it',
    },
  );

const rule = section({
  name: title(),
  people: optional(
    section({ users: list(), groups: list(), excludeUsers: list(), excludeGroups: list() }),
  ),
  network: optional(network),
  clients: optional(z.array(title()).min(1)),
  platforms: optional(z.array(z.enum(platforms)).min(1)),
  device: optional(device),
  assurances: optional(z.array(title()).min(1)),
  risks: optional(z.array(z.enum(risks)).min(1)),
  access: z.enum(['ALLOW', 'DENY']),
  reportOnly: z.boolean().default(false),
  message: optional(z.string().min(1).max(500)),
  help: optional(httpUrl()),
});

const exception = section({
  name: title(),
  users: z.array(title()).min(1),
  clients: optional(z.array(title()).min(1)),
  until: moment(),
  reason: title(),
});

const testedDevice = section({
  platform: optional(z.enum(platforms)),
  registered: given(),
  managed: given(),
  compliant: given(),
  assurances: optional(z.array(title())),
  risk: optional(z.enum(risks)),
});

const test = section({
  name: title(),
  user: title(),
  groups: list(),
  address: optional(z.string()),
  zones: optional(z.array(name())),
  client: title(),
  device: testedDevice.prefault({}),
  at: optional(moment()),
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
  exceptions: z.array(exception).default([]),
  rules: z.array(rule),
  tests: z.array(test).default([]),
}).superRefine(({ rules, exceptions }, context) => {
  refuseDoubles(rules, 'rules', context);
  refuseDoubles(exceptions, 'exceptions', context);
});

function originOf(address: string | null, zones: readonly string[] | null): TestOrigin | null {
  if (zones !== null) return address === null ? { kind: 'zones', zones } : null;
  const parsed = parseAddress(address ?? '');
  return parsed === null ? null : { kind: 'address', address: parsed };
}
