// Zones from outside: what `zonegate zones check` says and exits with, and databases of places replaced while it runs.

import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { within } from '../support/client.ts';
import { makeIdpFolder } from '../support/idp-folder.ts';
import { mmdbOf } from '../support/mmdb.ts';
import { startZonegate, zonegate } from '../support/program.ts';

const stack = new AsyncDisposableStack();
let folder: string;
let port = 0;

const countries = (here: string) =>
  mmdbOf({
    '127.0.0.0/8': { country: { iso_code: here } },
    '203.0.113.0/24': { country: { iso_code: 'FI' } },
  });

const ZONES = `zones:
  - name: egress
    gateways: |
      203.0.113.8
      203.0.113.16-203.0.113.19, 198.51.100.0/28
    proxies: [198.51.100.40]
  - name: home
    locations: [FI]
  - name: bad
    usage: BLOCKLIST
    locations: [KP]
  - name: worse
    usage: BLOCKLIST
    gateways: [192.0.2.0/24]
  - { name: ours, usage: EXEMPT, gateways: 192.0.2.7 }
places: { countries: countries.mmdb }
`;

before(async () => {
  const made = await makeIdpFolder({
    idp: '  trustedProxies: [198.51.100.40]\n',
    files: {
      'zones.yaml': ZONES,
      'countries.mmdb': countries('KP'),
      'sign-on.yaml': `rules:
  - { name: from home, network: { zones: [home] }, access: ALLOW }
tests:
  - { name: from Finland, user: ann, address: 203.0.113.200, client: app, expect: ALLOW }
`,
    },
  });
  stack.use(made);
  ({ folder, port } = made);
});
after(() => stack.disposeAsync());

const check = (...args: readonly string[]) =>
  zonegate('zones', 'check', ...args, '--config', join(folder, 'zonegate.yaml'));

// What is asked, how it ends, and what has to stand in the answer.
const questions: readonly (readonly [readonly string[], number, readonly RegExp[]])[] = [
  [['203.0.113.17'], 0, [/egress +in .*203\.0\.113\.16-203\.0\.113\.19 \(.*zones\.yaml:5\)/]],
  [
    ['203.0.113.9', '--chain', '203.0.113.8'],
    0,
    [
      /what it forwards is not believed/,
      /egress +out .* neither a gateway nor a proxy/,
      /home +in .* in FI$/m,
    ],
  ],
  [
    ['198.51.100.40'],
    1,
    [
      /tells of nobody/,
      /egress +out .*every address is one of its proxies/,
      /home +unknown .*nowhere they know/,
    ],
  ],
  [
    ['198.51.100.40', '--chain', '203.0.113.8'],
    0,
    [/^203\.0\.113\.8 → 198\.51\.100\.40$/m, /the rightmost that is not/, /zones\.yaml:4\)/],
  ],
  [
    ['198.51.100.40', '--chain', '203.0.113.8, unknown, 10.0.0.1'],
    1,
    [/client +10\.0\.0\.1: .*`unknown` is no address, so reading stopped there/],
  ],
  [['192.0.2.9'], 1, [/blocklist `worse` holds 192\.0\.2\.9 by 192\.0\.2\.0\/24 \(.*:14\)/]],
  [['127.0.0.1'], 1, [/blocklist `bad` holds 127\.0\.0\.1$/m]],
  [['not-an-address'], 2, []],
];
for (const [args, code, wanted] of questions) {
  test(`zones check ${args.join(' ')} ends with ${code}`, async () => {
    const ran = await check(...args);
    assert.equal(ran.code, code, ran.stderr);
    for (const text of wanted) assert.match(ran.stdout, text);
    assert.equal(
      /blocked/.test(ran.stdout),
      wanted.some(({ source }) => /blocklist/.test(source)),
    );
  });
}

test('zones check --json says the same to programs', async () => {
  const { stdout } = await check('198.51.100.40', '--chain', '203.0.113.8', '--json');
  const { chain, client, blocked, zones } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(chain, [
    { address: '203.0.113.8', place: { country: 'FI', region: null, asn: null } },
    { address: '198.51.100.40', place: { country: null, region: null, asn: null } },
  ]);
  assert.deepEqual([client, blocked], ['203.0.113.8', null]);
  const none = { why: null, feed: null };
  assert.deepEqual(zones, [
    {
      ...none,
      name: 'egress',
      state: 'in',
      address: '203.0.113.8',
      entry: { text: '203.0.113.8', line: 4 },
    },
    { ...none, name: 'home', state: 'in', address: '203.0.113.8', entry: null },
  ]);
});

function statusOf(path: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const options = { port, host: '127.0.0.1', path, agent: false, rejectUnauthorized: false };
  get({ ...options, headers: { host: `127.0.0.1:${port}` } }, (response) => {
    response.resume();
    resolve(response.statusCode);
  }).on('error', reject);
  return promise;
}

test('a database that is replaced is in force without a restart, and a broken one changes nothing', async () => {
  await using running = startZonegate('serve', '--config', join(folder, 'zonegate.yaml'));
  await running.shows('ready');
  const replace = async (content: Buffer) => {
    await writeFile(join(folder, 'next.mmdb'), content);
    await rename(join(folder, 'next.mmdb'), join(folder, 'countries.mmdb'));
  };
  assert.equal(await statusOf('/jwks'), 403);
  await replace(countries('FI'));
  const isLetIn = async () => {
    while ((await statusOf('/jwks')) !== 200);
  };
  await within(isLetIn(), 'the new database in force', 30_000);
  await replace(Buffer.from('<html>'));
  await running.shows('not reloaded');
  await running.shows('cannot be read as an MMDB file');
  assert.equal(await statusOf('/jwks'), 200);
});
