// Apple's schema (github.com/apple/device-management), as far as profiles use it: every key there may be, its type, and
// whether it has to be there.

import assert from 'node:assert/strict';

/** One in brackets is a list of it; a name with `!` has to be there. */
type Shape = 'string' | 'integer' | 'boolean' | 'data' | readonly [Shape] | Keys;
interface Keys {
  readonly [name: string]: Shape;
}

export type Dict = Readonly<Record<string, unknown>>;

const ofEvery: Keys = {
  'PayloadType!': 'string',
  'PayloadVersion!': 'integer',
  'PayloadIdentifier!': 'string',
  'PayloadUUID!': 'string',
  PayloadDisplayName: 'string',
};

const lists: Keys = {
  MatchDomains: ['string'],
  MatchFQDNs: ['string'],
  ExcludedDomains: ['string'],
  ExcludedFQDNs: ['string'],
};

const switches: Keys = {
  RelayUUID: 'string',
  UIToggleEnabled: 'boolean',
  AllowDNSFailover: 'boolean',
};

/** Without the key for HTTP/3: a relay has one of the two at least, and the gateway speaks HTTP/2. */
const hop: Keys = { 'HTTP2RelayURL!': 'string', RawPublicKeys: ['data'] };
const subject: Shape = [[['string']]];

const payloads: Readonly<Record<string, Keys>> = {
  'com.apple.security.root': { 'PayloadContent!': 'data' },
  'com.apple.security.pkcs12': {
    'PayloadContent!': 'data',
    PayloadCertificateFileName: 'string',
    Password: 'string',
  },
  'com.apple.security.scep': {
    'PayloadContent!': {
      'URL!': 'string',
      Name: 'string',
      Subject: subject,
      Challenge: 'string',
      Keysize: 'integer',
      'Key Type': 'string',
      'Key Usage': 'integer',
    },
  },
  'com.apple.security.acme': {
    'DirectoryURL!': 'string',
    'ClientIdentifier!': 'string',
    'KeySize!': 'integer',
    'KeyType!': 'string',
    'HardwareBound!': 'boolean',
    'Subject!': subject,
    UsageFlags: 'integer',
    ExtendedKeyUsage: ['string'],
    Attest: 'boolean',
  },
  'com.apple.relay.managed': {
    'Relays!': [{ ...hop, 'PayloadCertificateUUID!': 'string' }],
    ...lists,
    ...switches,
  },
};

/** A name is a host name: no wildcard, no final dot. */
const domain = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;
const uuid = /^[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/;

export function checkConfigurationProfile(profile: Dict): void {
  const { PayloadContent: content, ...outer } = profile;
  const top = { PayloadDescription: 'string', 'PayloadScope!': 'string' } as const;
  checkKeys(outer, { ...ofEvery, ...top }, 'Configuration');
  assert.equal(profile['PayloadType'], 'Configuration');
  assert.ok(Array.isArray(content) && content.length > 0);
  const all = content as readonly Dict[];
  for (const payload of all) {
    const type = String(payload['PayloadType']);
    checkKeys(payload, { ...ofEvery, ...(payloads[type] ?? assert.fail(type)) }, type);
  }
  for (const one of [profile, ...all]) {
    assert.match(String(one['PayloadUUID']), uuid);
    assert.equal(one['PayloadVersion'], 1);
  }
  for (const key of ['PayloadUUID', 'PayloadIdentifier'])
    assert.equal(new Set([profile, ...all].map((one) => one[key])).size, all.length + 1, key);
  for (const relay of all.filter((one) => one['PayloadType'] === 'com.apple.relay.managed')) {
    checkRelay(relay);
    for (const { PayloadCertificateUUID: named } of relay['Relays'] as readonly Dict[]) {
      const { PayloadType } = all.find((one) => one['PayloadUUID'] === named) ?? {};
      assert.match(String(PayloadType), /^com\.apple\.security\.(pkcs12|scep|acme)$/);
    }
  }
}

export function checkDeclaration(declaration: Dict): void {
  const payload = { 'VisibleName!': 'string', ...lists, ...switches } as const;
  const relays = [{ ...hop, 'CredentialAssetReference!': 'string' }] as const;
  const shape = { ...payload, 'Relays!': relays };
  const keys = { 'Type!': 'string', 'Identifier!': 'string', 'Payload!': shape } as const;
  checkKeys(declaration, keys, 'declaration');
  assert.equal(declaration['Type'], 'com.apple.configuration.network.relay');
  checkRelay(declaration['Payload'] as Dict);
}

function checkRelay(relay: Dict): void {
  assert.match(String(relay['RelayUUID']), uuid);
  for (const { HTTP2RelayURL: url } of relay['Relays'] as readonly Dict[])
    assert.equal(new URL(String(url)).protocol, 'https:');
  const named = Object.keys(lists).flatMap((key) => (relay[key] ?? []) as readonly string[]);
  for (const name of named) assert.match(name, domain);
}

function check(value: unknown, shape: Shape, at: string): void {
  if (Array.isArray(shape)) {
    assert.ok(Array.isArray(value), `${at} is no list`);
    for (const one of value) check(one, (shape as readonly [Shape])[0], `${at}[]`);
  } else if (typeof shape === 'object') checkKeys(value as Dict, shape as Keys, at);
  else if (shape === 'data') assert.ok(value instanceof Uint8Array, `${at} is no data`);
  else if (shape === 'integer') assert.ok(Number.isInteger(value), `${at} is no integer`);
  else assert.equal(typeof value, shape, at);
}

function checkKeys(value: Dict, keys: Keys, at: string): void {
  const known = new Map(Object.entries(keys).map(([key, shape]) => [key.replace('!', ''), shape]));
  for (const [key, one] of Object.entries(value))
    check(one, known.get(key) ?? assert.fail(`${at} may have no ${key}`), `${at}.${key}`);
  for (const key of Object.keys(keys).filter((one) => one.endsWith('!')))
    assert.ok(key.slice(0, -1) in value, `${at} lacks ${key}`);
}
