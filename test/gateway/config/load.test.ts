// What loading says of the certificates and lists the configuration names: what is wrong, and what soon will be.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayShape } from '../../../gateway/config/config.ts';
import { type Load, load } from '../../../gateway/config/load.ts';
import { createAuthority } from '../../../runtime/authority.ts';
import { readConfigFile } from '../../../runtime/config-file.ts';
import { formatIssue, type PlacedIssue } from '../../../runtime/issue.ts';
import { parseWith, section } from '../../../runtime/schema.ts';
import { makeGatewayFolder } from '../../support/gateway-folder.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Without what belongs to the whole process. */
function parseGateway(value: unknown) {
  const { admin: _, ...own } = value as Record<string, unknown>;
  return parseWith(section(gatewayShape))(own);
}

async function loadFrom(folder: string, now: number): Promise<Load> {
  const file = join(folder, 'zonegate.yaml');
  const read = await readConfigFile(file, parseGateway);
  assert.ok(read.ok);
  const { value: config, hash, place } = read.config;
  return await load({ config, file, folder, hash, place }, now);
}

function printed(issues: readonly PlacedIssue[]): readonly string[] {
  return issues.map((issue) =>
    formatIssue({ ...issue, file: basename(issue.file), line: 1, column: 1, hint: null }),
  );
}

async function folderOf(context: TestContext) {
  const made = await makeGatewayFolder({});
  context.after(() => made[Symbol.asyncDispose]());
  return made;
}

test('every member of a bundle of authorities that is none is an issue of its own', async (context) => {
  const made = await folderOf(context);
  const { folder, authority } = made;
  const good = authority.certificatePem;
  const cut = `${good.slice(0, 200)}\n`;
  const garbled = good.replace(/^M.*$/m, 'AAAA');
  await writeFile(
    join(folder, 'device-ca.pem'),
    [good, made.device('good').issued.certificatePem, garbled, cut, good].join('\n'),
  );
  const read = await loadFrom(folder, Date.now());
  assert.ok(!read.ok);
  assert.deepEqual(printed(read.issues), [
    'zonegate.yaml:1:1: certificate 2 of `device-ca.pem` is not an authority',
    'zonegate.yaml:1:1: certificate 3 of `device-ca.pem` cannot be read',
    'zonegate.yaml:1:1: certificate 4 of `device-ca.pem` cannot be read',
  ]);
  const lines = (await readFile(join(folder, 'zonegate.yaml'), 'utf8')).split('\n');
  assert.match(lines[(read.issues[0]?.line ?? 0) - 1] ?? '', /device-ca\.pem/);
});

test('a bundle of one that is no authority, and one without any, are issues', async (context) => {
  const made = await folderOf(context);
  const { folder } = made;
  const says = async (text: string) => {
    await writeFile(join(folder, 'device-ca.pem'), text);
    const read = await loadFrom(folder, Date.now());
    assert.ok(!read.ok);
    return printed(read.issues)[0];
  };
  assert.equal(
    await says(made.device('good').issued.certificatePem),
    'zonegate.yaml:1:1: the certificate in `device-ca.pem` is not an authority',
  );
  assert.equal(await says('nothing'), 'zonegate.yaml:1:1: `device-ca.pem` holds no certificate');
});

test('what runs out is loaded, with a warning at the place that names it', async (context) => {
  const { folder } = await folderOf(context);
  const now = Date.now();
  const warningsAt = async (at: number) => {
    const read = await loadFrom(folder, at);
    assert.ok(read.ok);
    const texts = printed(read.loaded.warnings).map((text) => text.replace(/\d{4}-\S+Z/, 'DATE'));
    return { texts, warnings: read.loaded.warnings };
  };
  // Everything in this folder lasts for a day, the list for an hour.
  assert.deepEqual((await warningsAt(now - 20 * dayMs)).texts, []);
  const soon = await warningsAt(now);
  assert.deepEqual(soon.texts, [
    'zonegate.yaml:1:1: the server certificate `gateway.pem` expires on DATE',
    'zonegate.yaml:1:1: the revocation list `device-ca.crl` runs out on DATE',
  ]);
  const lines = (await readFile(join(folder, 'zonegate.yaml'), 'utf8')).split('\n');
  for (const [i, name] of [/gateway\.pem/, /device-ca\.crl/].entries()) {
    assert.match(lines[(soon.warnings[i]?.line ?? 0) - 1] ?? '', name);
  }
  assert.deepEqual((await warningsAt(now + 2 * dayMs)).texts, [
    'zonegate.yaml:1:1: the server certificate `gateway.pem` expired on DATE',
    'zonegate.yaml:1:1: the device authority `device-ca.pem` expired on DATE',
    'zonegate.yaml:1:1: the revocation list `device-ca.crl` ran out on DATE',
  ]);
});

test('of several revocation lists the warning names the one that runs out', async (context) => {
  const { folder, authority } = await folderOf(context);
  const now = Date.now();
  const other = await createAuthority({ name: 'Other device CA', days: 30 });
  const long = { revoked: [], thisUpdate: now - hourMs, nextUpdate: now + 30 * dayMs, number: 1 };
  await writeFile(join(folder, 'other-ca.pem'), other.certificatePem);
  await writeFile(join(folder, 'other-ca.crl'), await other.revocationList(long));
  const config = join(folder, 'zonegate.yaml');
  const text = (await readFile(config, 'utf8'))
    .replace('- device-ca.pem', '- other-ca.pem\n    - device-ca.pem')
    .replace('- device-ca.crl', '- other-ca.crl\n    - device-ca.crl\n    - superseded.crl');
  await writeFile(config, text);
  // An older list of the same authority beside the one in force is nothing to worry about.
  const old = { ...long, thisUpdate: now - 2 * dayMs, nextUpdate: now - dayMs };
  await writeFile(join(folder, 'superseded.crl'), await authority.revocationList(old));
  const read = await loadFrom(folder, now);
  assert.ok(read.ok);
  const lists = printed(read.loaded.warnings).filter((line) => line.includes('list'));
  assert.equal(lists.length, 1);
  assert.match(lists[0] ?? '', /`device-ca\.crl` runs out/);
});

test('an application is believed by listener where there are such listeners, and nowhere else', async (context) => {
  const says = async (settings: object) => {
    const made = await makeGatewayFolder({ settings });
    context.after(() => made[Symbol.asyncDispose]());
    const read = await loadFrom(made.folder, Date.now());
    return read.ok ? [] : printed(read.issues);
  };
  const apps = [{ listen: '127.0.0.1:0', app: 'mail' }];
  assert.deepEqual(await says({ identity: { app: { listener: true } }, listeners: { apps } }), []);
  assert.deepEqual(await says({ identity: { app: { listener: true } } }), [
    'zonegate.yaml:1:1: there is no listener for an application',
  ]);
  for (const identity of [{}, { app: { header: 'X-App' } }, { app: { subject: 'OU' } }]) {
    assert.deepEqual(await says({ identity, listeners: { apps } }), [
      'zonegate.yaml:1:1: nothing believes these listeners',
    ]);
  }
});

test('a listener for PAC files needs the secret their addresses are made with', async (context) => {
  const says = async (settings: object) => {
    const made = await makeGatewayFolder({ settings });
    context.after(() => made[Symbol.asyncDispose]());
    const read = await loadFrom(made.folder, Date.now());
    return read.ok ? [] : printed(read.issues);
  };
  const listeners = { pac: '127.0.0.1:0' };
  const profiles = { gateway: 'gw.test:8443' };
  const issue = 'nothing can be fetched here without `profiles.pacSecret`';
  for (const settings of [{ listeners }, { listeners, profiles }]) {
    assert.deepEqual(await says(settings), [`zonegate.yaml:1:1: ${issue}`]);
  }
  assert.deepEqual(
    await says({ listeners, profiles: { ...profiles, pacSecret: 'x'.repeat(20) } }),
    [],
  );
});

test('rules for applications come with a warning where nothing tells applications apart', async (context) => {
  const rule = (id: string) => ({ id, action: 'TUNNEL', apps: ['mail'], destinations: ['a.test'] });
  const ruleFile = {
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [{ name: 'staff', defaultAction: 'BLOCK', rules: [rule('a'), rule('b')] }],
  };
  const warnings = async (settings: object) => {
    const made = await makeGatewayFolder({ ruleFile, settings });
    context.after(() => made[Symbol.asyncDispose]());
    const read = await loadFrom(made.folder, Date.now() - 20 * dayMs);
    assert.ok(read.ok);
    return printed(read.loaded.warnings);
  };
  assert.deepEqual(await warnings({}), [
    'dtr.yaml:1:1: nothing tells applications apart, so no connection matches 2 of the rules',
  ]);
  assert.deepEqual(await warnings({ identity: { app: { header: 'X-App' } } }), []);
});

test('the authority of an upstream proxy is read, hashed and checked at the start', async (context) => {
  const made = await folderOf(context);
  const { folder, authority } = made;
  const settings = await readFile(join(folder, 'zonegate.yaml'), 'utf8');
  const proxy = '{ host: 127.0.0.1, port: 3128, tls: true, authority: proxy-ca.pem }';
  await writeFile(join(folder, 'zonegate.yaml'), `${settings}upstreams: { partner: ${proxy} }\n`);
  const missing = await loadFrom(folder, Date.now());
  assert.ok(!missing.ok);
  assert.deepEqual(printed(missing.issues), [
    'zonegate.yaml:1:1: cannot read `proxy-ca.pem` (ENOENT)',
  ]);
  await writeFile(join(folder, 'proxy-ca.pem'), 'no certificate');
  const broken = await loadFrom(folder, Date.now());
  assert.ok(!broken.ok);
  assert.deepEqual(printed(broken.issues), [
    'zonegate.yaml:1:1: `proxy-ca.pem` holds no certificate',
  ]);
  await writeFile(join(folder, 'proxy-ca.pem'), authority.certificatePem);
  const read = await loadFrom(folder, Date.now());
  assert.ok(read.ok);
  const [server] = read.loaded.upstreams.get('partner')?.servers ?? [];
  assert.deepEqual(server?.tls, { authority: authority.certificatePem });
  assert.ok(read.loaded.inputs.includes(join(folder, 'proxy-ca.pem')), 'it is watched');
});
