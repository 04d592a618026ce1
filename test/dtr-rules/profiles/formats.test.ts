// Owns that what is handed to browsers and systems is well formed: each format read back by rules of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProfileError } from '../../../dtr-rules/profiles/draft.ts';
import { type KindName, makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import { plistText } from '../../../dtr-rules/profiles/plist.ts';
import type { ProfileFacts } from '../../../dtr-rules/profiles/profile.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleSet } from '../rule-file.ts';
import { facts } from './facts.ts';
import { readPlist } from './read-plist.ts';

const set = ruleSet('BLOCK *.ads.test', 'TUNNEL acme.okta.com,*.oktacdn.com:443', 'BYPASS *');
const pem = '-----BEGIN CERTIFICATE-----\nTUlJ\nQw==\n-----END CERTIFICATE-----\n';
const awkward = { issuer: 'Zürich "CA" \\ <&> \u{1f512}', authority: pem };

function made(kind: KindName, over: Partial<ProfileFacts> = {}) {
  const profile = makeProfile(kind, set, {
    app: null,
    now: 0,
    facts: { ...facts, ...over },
    runPac,
  });
  return {
    texts: profile.files.map(({ content }) => String(content)),
    notes: profile.notExpressed,
  };
}

const text = (kind: KindName, over: Partial<ProfileFacts> = {}) => made(kind, over).texts[0] ?? '';

interface Policy {
  readonly ProxySettings: Readonly<Record<string, unknown>>;
  readonly AutoSelectCertificateForUrls: readonly string[];
  readonly CACertificates: readonly string[];
}

const policyOf = (over: Partial<ProfileFacts> = {}) => JSON.parse(text('chromium', over)) as Policy;

test('Chromium is given the PAC file, the certificate for the proxy, and who is to be trusted', () => {
  const { ProxySettings, AutoSelectCertificateForUrls, CACertificates } = policyOf(awkward);
  assert.equal(ProxySettings['ProxyMode'], 'pac_script');
  const [, base64 = ''] = String(ProxySettings['ProxyPacUrl']).split(';base64,');
  assert.equal(Buffer.from(base64, 'base64').toString(), text('pac'));
  assert.deepEqual(
    AutoSelectCertificateForUrls.map((one) => JSON.parse(one) as unknown),
    [{ pattern: 'https://gw.example.net:8443', filter: { ISSUER: { CN: awkward.issuer } } }],
  );
  assert.deepEqual(CACertificates, ['TUlJQw==']);
  assert.equal(policyOf().CACertificates, undefined);
});

test('the fail mode decides whether Chromium may do without the PAC file', () => {
  assert.equal(policyOf().ProxySettings['ProxyPacMandatory'], true);
  assert.equal(policyOf({ failMode: 'open' }).ProxySettings['ProxyPacMandatory'], false);
});

test("that the machine's own names go direct is said where the rules have it otherwise", () => {
  const own = "the machine's own names and addresses";
  for (const [rules, chromium, firefox] of [
    ['TUNNEL a.test', false, false],
    ['TUNNEL localhost', true, true],
    ['BLOCK 127.0.0.0/8', true, true],
    ['TUNNEL dev.localhost', true, true],
    ['TUNNEL 169.254.1.1', true, false],
    ['TUNNEL [fe80::1]', true, false],
    ['TUNNEL [::1]', true, true],
    ['BYPASS localhost', false, false],
    ['TUNNEL *', true, true],
  ] as const)
    for (const [kind, expected] of [
      ['chromium', chromium],
      ['firefox', firefox],
    ] as const) {
      const input = { app: null, now: 0, facts, runPac };
      const { notExpressed } = makeProfile(kind, ruleSet(rules), input);
      const isSaid = notExpressed.some(({ what }) => what === own);
      assert.equal(isSaid, expected, `${kind}: ${rules}`);
    }
});

test('a PAC file that is served is named by its address', () => {
  const pacUrl = 'https://gw.example.net/pac';
  assert.equal(policyOf({ pacUrl }).ProxySettings['ProxyPacUrl'], pacUrl);
});

test('a registry file holds the same policies, lists as keys of their own', () => {
  for (const [kind, place] of [
    ['chrome-reg', 'Google\\Chrome'],
    ['edge-reg', 'Microsoft\\Edge'],
  ] as const) {
    const written = text(kind, awkward);
    assert.match(written, /^[\r\n\x20-\x7e]+$/);
    const { [`HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\${place}`]: single, ...lists } =
      readReg(written);
    const policy = policyOf(awkward);
    assert.deepEqual(JSON.parse(single?.['ProxySettings'] ?? ''), policy.ProxySettings);
    for (const name of ['AutoSelectCertificateForUrls', 'CACertificates'] as const) {
      const list = lists[`HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\${place}\\${name}`];
      assert.deepEqual(Object.keys(list ?? {}), ['1']);
      // The letters that are not ASCII are escaped here and not there: the same JSON.
      const same = (one: string | undefined) =>
        name === 'CACertificates' ? one : JSON.parse(one ?? '');
      assert.deepEqual(same(list?.['1']), same(policy[name][0]));
    }
  }
});

test('managed preferences of macOS hold the same policies', () => {
  for (const kind of ['chrome-plist', 'edge-plist'] as const)
    assert.deepEqual(readPlist(text(kind, awkward)), policyOf(awkward));
});

test('a property list holds whatever is put into it', () => {
  const value = {
    'a<b': ['&"\'', '\r\n\t', ''],
    yes: true,
    no: false,
    n: 7,
    bytes: new Uint8Array([0, 255]),
  };
  assert.deepEqual(readPlist(plistText(value)), { ...value, bytes: Buffer.from([0, 255]) });
  assert.deepEqual(readPlist(plistText('a\u0000b')), 'a\ufffdb');
});

test('Android is given every policy as text', () => {
  const { packageName, managedConfiguration } = JSON.parse(text('android', awkward)) as {
    packageName: string;
    managedConfiguration: Readonly<Record<string, string>>;
  };
  assert.equal(packageName, 'com.android.chrome');
  const parsed = Object.entries(managedConfiguration).map(([name, value]) => [
    name,
    JSON.parse(value),
  ]);
  assert.deepEqual(Object.fromEntries(parsed), policyOf(awkward));
});

interface FirefoxPolicies {
  readonly Proxy: Readonly<Record<string, unknown>>;
  readonly Preferences: Readonly<
    Record<string, { readonly Value: unknown; readonly Status: string }>
  >;
  readonly Certificates?: unknown;
}

const firefoxOf = (over: Partial<ProfileFacts> = {}) =>
  (JSON.parse(text('firefox', over)) as { policies: FirefoxPolicies }).policies;

test('Firefox is given the PAC file and a certificate without a question, locked', () => {
  const { Proxy: proxy, Preferences, Certificates } = firefoxOf(awkward);
  assert.deepEqual([proxy['Mode'], proxy['Locked']], ['autoConfig', true]);
  assert.deepEqual(Preferences['security.default_personal_cert'], {
    Value: 'Select Automatically',
    Status: 'locked',
  });
  assert.deepEqual(Certificates, { Install: ['/etc/zonegate/gateway-ca.pem'] });
  assert.equal(firefoxOf().Certificates, undefined);
});

test('closed, Firefox has its PAC file in the profile: one that it cannot fetch it does without', () => {
  const pacUrl = 'https://gw.example.net/pac';
  assert.match(String(firefoxOf({ pacUrl }).Proxy['AutoConfigURL']), /^data:/);
  assert.equal(firefoxOf({ pacUrl }).Preferences['network.proxy.allow_bypass']?.Value, false);
  const open = firefoxOf({ pacUrl, failMode: 'open' });
  assert.equal(open.Proxy['AutoConfigURL'], pacUrl);
  assert.equal(open.Preferences['network.proxy.failover_direct'], undefined);
});

test('Windows itself needs an agent, and without one says so', () => {
  assert.throws(
    () => made('windows'),
    (error) => error instanceof ProfileError && /agent/.test(error.message),
  );
  const { texts, notes } = made('windows', { agent: { host: '127.0.0.1', port: 3128 } });
  const [pac = '', csp = '', commands = ''] = texts;
  assert.equal(runPac(pac)('https://acme.okta.com/', 'acme.okta.com'), 'PROXY 127.0.0.1:3128');
  for (const name of ['ProxySettingsPerUser', 'AutoDetect', 'SetupScriptUrl'])
    assert.ok(csp.includes(`<LocURI>./Vendor/MSFT/NetworkProxy/${name}</LocURI>`));
  assert.ok(csp.includes('<Data>http://127.0.0.1:3128/zonegate.pac</Data>'));
  assert.ok(commands.includes('\\"AutoConfigUrl\\":\\"http://127.0.0.1:3128/zonegate.pac\\"'));
  assert.ok(notes.some(({ consequence }) => consequence.includes('the agent has to run')));
});

/** Sections of a registry file, with string values unescaped as regedit does it. */
function readReg(written: string): Readonly<Record<string, Readonly<Record<string, string>>>> {
  assert.doesNotMatch(written, /\r(?!\n)|(?<!\r)\n/);
  const [head, ...lines] = written.split('\r\n');
  assert.equal(head, 'Windows Registry Editor Version 5.00');
  const sections: Record<string, Record<string, string>> = {};
  let current: Record<string, string> = {};
  for (const line of lines.filter((one) => one !== '')) {
    const [, key] = /^\[(.+)\]$/.exec(line) ?? [];
    if (key !== undefined) {
      current = {};
      sections[key] = current;
      continue;
    }
    const [, name, value] = /^"([^"\\]+)"="((?:[^"\\]|\\["\\])*)"$/.exec(line) ?? [];
    assert.ok(name !== undefined && value !== undefined, line.slice(0, 80));
    current[name] = value.replace(/\\(["\\])/g, '$1');
  }
  return sections;
}
