// Reads the sign-in service's configuration: zones.yaml, sign-on.yaml and the `idp` section of zonegate.yaml.
import { z } from 'zod';
import type { Issue, Parsed } from '../../runtime/issue.ts';
import {
  durationMs,
  httpUrl,
  listenAddress,
  optional,
  parseWith,
  secretText,
  section,
} from '../../runtime/schema.ts';
import { forwardedFields } from '../decision/client-address.ts';
import type { SignOnFile, SignOnTest } from '../decision/run-tests.ts';
import type { SignOnPolicy } from '../decision/sign-on.ts';
import type { ZoneSource } from '../decision/zone.ts';
import { parsePasswordHash } from '../edge/password.ts';
import { addressRange, isWithin, refuseDoubles } from './fields.ts';
import { signOnFile } from './sign-on-schema.ts';
import { zonesFile } from './zones-schema.ts';

export type ZonesFile = z.output<typeof zonesFile>;

export const parseZones: (value: unknown) => Parsed<ZonesFile> = parseWith(zonesFile);
const readSignOn = parseWith(signOnFile);

export function parseSignOn(value: unknown): Parsed<SignOnFile> {
  const parsed = readSignOn(value);
  if (!parsed.ok) return parsed;
  const { tests, ...policy }: { tests: typeof parsed.value.tests } & SignOnPolicy = parsed.value;
  const { rules, exceptions } = policy;
  const placed = tests.map((test, index): SignOnTest => ({ ...test, path: ['tests', index] }));
  const issues = placed.flatMap((test) => unknownRule(test, [...rules, ...exceptions]));
  return issues.length > 0 ? { ok: false, issues } : { ok: true, value: { policy, tests: placed } };
}

// The two files meet here: a zone nobody wrote down would be a condition that never holds.
export function checkZoneNames(file: SignOnFile, zones: readonly ZoneSource[]): readonly Issue[] {
  const known = new Set(zones.filter(({ usage }) => usage === 'POLICY').map(({ name }) => name));
  const unknown = (names: readonly string[], path: Issue['path']) =>
    names.flatMap((zone, index): readonly Issue[] => {
      if (known.has(zone)) return [];
      const other = zones.find(({ name }) => name === zone);
      const message =
        other === undefined
          ? `there is no zone \`${zone}\``
          : `the zone \`${zone}\` is for \`${other.usage}\`, not for rules`;
      return [{ path: [...path, index], message, hint: `zones are: ${[...known].join(', ')}` }];
    });
  const ofRules = file.policy.rules.flatMap(({ network }, index) => [
    ...unknown(network?.zones ?? [], ['rules', index, 'network', 'zones']),
    ...unknown(network?.notZones ?? [], ['rules', index, 'network', 'notZones']),
  ]);
  const ofTests = file.tests.flatMap(({ origin, path }) =>
    origin.kind === 'zones' ? unknown(origin.zones, [...path, 'zones']) : [],
  );
  return [...ofRules, ...ofTests];
}

function unknownRule(
  { rule, path }: SignOnTest,
  rules: readonly { readonly name: string }[],
): readonly Issue[] {
  if (rule === null || rules.some(({ name }) => name === rule)) return [];
  return [{ path: [...path, 'rule'], message: `there is no rule \`${rule}\``, hint: null }];
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const YEAR = 365 * 24 * 60 * MINUTE;

const word = () => z.string().regex(/^[\w.@+-]{1,128}$/, 'expected letters, digits and . _ @ + -');

const passwordHash = z.string().transform((text, context) => {
  const hash = parsePasswordHash(text);
  if (hash !== null) return hash;
  // Not the text itself: somebody may have put a password here.
  const message = 'expected a hash `scrypt$N$r$p$salt$hash` within 256 MiB';
  context.addIssue({ code: 'custom', message, input: '' });
  return z.NEVER;
});

const user = section({
  name: word(),
  password: passwordHash,
  groups: z.array(z.string().min(1)).default([]),
  email: optional(z.email()),
});

// https anywhere; http on the person's own machine; a scheme of the application's own (RFC 8252 7).
const redirectUri = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || text.includes('#') || text.includes('*')) return false;
  if (url.protocol === 'http:') return /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === 'https:' || /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol);
}, 'expected an https URL, an http URL on loopback or a URL with a reversed-domain scheme');

const client = section({
  id: word(),
  name: optional(z.string().min(1).max(128)),
  public: z.boolean().default(false),
  secret: optional(secretText()),
  redirectUris: z.array(redirectUri).min(1),
  postLogoutRedirectUris: z.array(redirectUri).default([]),
}).refine((value) => value.public === (value.secret === null), {
  message: 'expected either `secret` or `public: true`',
});

const issuer = httpUrl().transform((href, context) => {
  const { protocol, origin, pathname, search } = new URL(href);
  if (protocol === 'https:' && pathname === '/' && search === '') return origin;
  const message = 'expected an https URL without a path';
  context.addIssue({ code: 'custom', message, input: href });
  return z.NEVER;
});

const cookieSecret = secretText().refine(
  (text) => text.length >= 32,
  'expected a secret of at least 32 characters',
);

// A field that the proxy sets. Two names for one field would be read twice.
const fieldName = () =>
  z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected a field name of letters, digits and -');

const authzSection = section({
  peers: z.array(addressRange()).min(1),
  apps: z.array(word()).min(1),
  appField: optional(fieldName()),
  userField: optional(fieldName()),
  groupsField: optional(fieldName()),
  signIn: optional(httpUrl()),
}).superRefine(({ appField, userField, groupsField }, context) => {
  if (groupsField !== null && userField === null) {
    const message = 'key `userField` is missing: groups are those of a person';
    context.addIssue({ code: 'custom', path: ['groupsField'], message, input: groupsField });
  }
  const fields = [appField, userField, groupsField].flatMap((one) => one?.toLowerCase() ?? []);
  const taken = [...forwardedFields.map((one) => one.toLowerCase()), 'host'];
  if (new Set([...fields, ...taken]).size === fields.length + taken.length) return;
  const message = 'expected a field of its own for each, and none that says who the client is';
  context.addIssue({ code: 'custom', message, input: fields });
});

export const idpSection = section({
  listen: listenAddress().prefault(':8445'),
  issuer: optional(issuer), // absent: the address listened on, which is enough on one machine
  tls: section({ certificate: z.string().min(1), key: z.string().min(1) }),
  trustedProxies: z.array(addressRange()).default([]),
  forwardedField: z.enum(forwardedFields).default('X-Forwarded-For'),
  proxyProtocol: optional(
    section({
      peers: z.array(addressRange()).min(1),
      timeout: durationMs({ minMs: 3_000, maxMs: MINUTE }).prefault('5s'),
    }).transform(({ peers, timeout }) => ({ peers, timeoutMs: timeout })),
  ),
  authz: optional(authzSection),
  users: z.array(user).default([]),
  clients: z.array(client).default([]),
  keysFile: z.string().min(1),
  keyRotation: optional(durationMs({ minMs: 2 * DAY, maxMs: YEAR })),
  // The first signs, the others are still believed: for changing it without signing everybody out.
  cookieSecret: z.union([cookieSecret.transform((text) => [text]), z.array(cookieSecret).min(1)]),
  accessTokenTtl: durationMs({ minMs: MINUTE, maxMs: YEAR }).prefault('10m'),
  refreshTokenTtl: durationMs({ minMs: MINUTE, maxMs: YEAR }).prefault('30d'),
  sessionTtl: durationMs({ minMs: MINUTE, maxMs: YEAR }).prefault('12h'),
})
  .superRefine(({ issuer, listen, users, clients, authz, trustedProxies }, context) => {
    if (issuer === null && /^(|0\.0\.0\.0|::)$/.test(listen.host)) {
      const message =
        'key `issuer` is missing: this listens on every address, so none can be its name';
      context.addIssue({ code: 'custom', path: ['issuer'], message, input: issuer });
    }
    for (const [index, peer] of (authz?.peers ?? []).entries()) {
      if (trustedProxies.some((range) => isWithin(peer, range))) continue;
      const message = `\`${peer.text}\` is not in \`idp.trustedProxies\`, so nobody would believe whom it asks for`;
      context.addIssue({ code: 'custom', path: ['authz', 'peers', index], message, input: peer });
    }
    refuseDoubles(users, 'users', context);
    const named = clients.map(({ id }) => ({ name: id }));
    refuseDoubles(named, 'clients', context);
  })
  .transform(
    ({ accessTokenTtl, refreshTokenTtl, sessionTtl, cookieSecret, keyRotation, ...rest }) => ({
      ...rest,
      cookieSecrets: cookieSecret,
      keyRotationMs: keyRotation,
      accessTokenTtlMs: accessTokenTtl,
      refreshTokenTtlMs: refreshTokenTtl,
      sessionTtlMs: sessionTtl,
    }),
  );

export type IdpConfig = z.infer<typeof idpSection>;

/** What sign-on rules can name as `clients`: those that people sign in to, and those that proxies ask about. */
export function applicationsOf({ clients, authz }: IdpConfig): readonly string[] {
  return [...new Set([...clients.map(({ id }) => id), ...(authz?.apps ?? [])])];
}
