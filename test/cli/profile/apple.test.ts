// Owns that what the configuration says of Apple devices becomes payloads by Apple's schema, whichever identity and rules.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { factsOf } from '../../../cli/profile/facts.ts';
import { makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import { profilesSection } from '../../../gateway/config/profiles.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import {
  checkConfigurationProfile,
  checkDeclaration,
  type Dict,
} from '../../dtr-rules/profiles/apple-schema.ts';
import { readPlist } from '../../dtr-rules/profiles/read-plist.ts';
import { ruleSet } from '../../dtr-rules/rule-file.ts';

const pem = '-----BEGIN CERTIFICATE-----\nTUlJ\nQw==\n-----END CERTIFICATE-----\n';
const subject = 'CN=$SERIALNUMBER, O=Example & <Co>, 1.2.5.3=x';
const acme = {
  directoryUrl: 'https://ca.test/acme',
  clientIdentifier: '$SERIALNUMBER',
  subject,
};
const scep = { url: 'https://ca.test/scep', name: 'ca', challenge: 'of the tests', subject };
const sets = [
  ruleSet('TUNNEL *'),
  ruleSet('BYPASS *'),
  ruleSet('BYPASS www.a.test,.b.a.test', 'TUNNEL .a.test,c.test,*d*,10.0.0.0/8'),
  ruleSet('TUNNEL a.b.test', 'BYPASS .b.test', 'BLOCK *.test:443'),
];

for (const [identity, isSecret] of [
  ['acme', false],
  ['scep', true],
  ['pkcs12', true],
] as const) {
  test(`a profile with ${identity} is by the schema, whatever the rules are`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zonegate-profile-'));
    t.after(() => rm(folder, { recursive: true }));
    const [authority, p12, password] = ['authority', 'p12', 'password'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    await writeFile(authority, pem);
    await writeFile(p12, 'bundle');
    await writeFile(password, 'secret of the tests\n');
    for (const failMode of ['closed', 'open']) {
      const words = { gateway: 'gw.example.net:8443', failMode, authority };
      const profiles = profilesSection.parse({ ...words, apple: { acme, scep } });
      const options =
        identity === 'pkcs12'
          ? { identity: `pkcs12:${p12}`, identityPasswordFile: password }
          : { identity };
      const facts = await factsOf(profiles, folder, options);
      for (const set of sets) {
        const input = { app: null, now: 0, facts, runPac };
        const [profile] = makeProfile('apple-relay', set, input).files;
        checkConfigurationProfile(readPlist(String(profile?.content)) as Dict);
        assert.equal(profile?.isSecret, isSecret);
        const [declaration] = makeProfile('apple-relay-declaration', set, input).files;
        checkDeclaration(JSON.parse(String(declaration?.content)) as Dict);
        // Its identity is with the MDM.
        assert.doesNotMatch(String(declaration?.content), /of the tests/);
      }
    }
  });
}

test('what a schema does not know, or asks for, is found', () => {
  const relays = [{ HTTP2RelayURL: 'https://a/', CredentialAssetReference: 'x' }];
  const RelayUUID = '2ED6657D-E927-568B-95E1-2665A8AEA6A2';
  const good = { VisibleName: 'x', Relays: relays, RelayUUID, MatchDomains: ['a.test'] };
  const declared = (Payload: object) => () =>
    checkDeclaration({ Type: 'com.apple.configuration.network.relay', Identifier: 'x', Payload });
  assert.doesNotThrow(declared(good));
  for (const [over, expected] of [
    [{ VisibleName: 1 }, /VisibleName/],
    [{ Relays: [{ CredentialAssetReference: 'x' }] }, /lacks HTTP2RelayURL/],
    [{ Other: true }, /may have no Other/],
    [{ MatchDomains: 'a.test' }, /no list/],
    [{ MatchDomains: ['*.a.test'] }, /match/],
    [{ UIToggleEnabled: 'no' }, /UIToggleEnabled/],
  ] as const)
    assert.throws(declared({ ...good, ...over }), expected);
});
