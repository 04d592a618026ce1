// `zonegate profile` as it is called: which rule set it takes, where it writes, and what it says of what it cannot do.

import assert from 'node:assert/strict';
import { chmod, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GatewayFolder, makeGatewayFolder } from '../support/gateway-folder.ts';
import { program, run, zonegate } from '../support/program.ts';

const subject = 'CN=$SERIALNUMBER, O=Example';
const scep = { url: 'https://ca.test/scep', challenge: 'challenge of the tests', subject };
const profiles = { gateway: 'gw.test:8443', issuer: 'Test device CA', apple: { scep } };
const rule = { id: 'sign-in', action: 'TUNNEL', destinations: ['acme.okta.test', '10.0.0.0/8'] };
const sets = [
  { name: 'sick', assign: { posture: 'unhealthy' }, defaultAction: 'BLOCK' },
  { name: 'kiosks', assign: { tags: ['kiosk'] }, defaultAction: 'TUNNEL' },
  { name: 'macs', assign: { platforms: ['macos'] }, defaultAction: 'BYPASS', rules: [rule] },
];
let made: GatewayFolder;

before(async () => {
  made = await makeGatewayFolder({
    settings: { profiles },
    ruleFile: { ruleSets: sets },
    devices: { ill: { inventory: { compliant: false } } },
  });
});
after(() => made[Symbol.asyncDispose]());

const profile = (...args: readonly string[]) =>
  zonegate('profile', ...args, '--config', join(made.folder, 'zonegate.yaml'));

async function setTaken(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await profile('pac', '--json', ...args);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { rule_set: unknown }).rule_set;
}

test('the rule set is that of devices as described, by its name, or that of a device', async () => {
  assert.equal(await setTaken('--platform', 'macos'), 'macs');
  assert.equal(await setTaken('--platform', 'macos', '--tag', 'kiosk'), 'kiosks');
  assert.equal(await setTaken('--posture', 'unhealthy'), 'sick');
  assert.equal(await setTaken('--set', 'sick'), 'sick');
  assert.equal(await setTaken('--device', made.device('ill').udid), 'sick');
});

test('what cannot be chosen is wrong usage, and says what can', async () => {
  for (const [args, expected] of [
    [['--platform', 'ios'], /no rule set is assigned/],
    [['--set', 'none'], /there are sick, kiosks, macs/],
    [['--set', 'sick', '--platform', 'ios'], /one of the three/],
    [['--device', 'nobody'], /no posture source knows a device `nobody`/],
    [['--platform', 'macOS'], /Allowed choices are ios, macos/],
    [['--set', 'sick', '--app', 'mail'], /there is no application `mail`/],
  ] as const) {
    const { code, stderr } = await profile('pac', ...args);
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
});

test('the profile goes to stdout, what it cannot express to stderr', async () => {
  const { code, stdout, stderr } = await profile('pac', '--set', 'macs');
  assert.equal(code, 0);
  assert.match(stdout, /^\/\/ Zonegate: [\s\S]*function FindProxyForURL/);
  assert.match(stderr, /^not expressed: names that lead to its addresses: .* \(1 rule sign-in\)$/m);
});

test('with --out it is written to a file, or into a folder under its own name', async () => {
  const file = join(made.folder, 'new/folder/staff.pac');
  assert.equal((await profile('pac', '--set', 'macs', '--out', file)).code, 0);
  const text = await readFile(file, 'utf8');
  assert.equal((await profile('pac', '--set', 'macs', '--out', made.folder)).code, 0);
  assert.equal(await readFile(join(made.folder, 'zonegate.pac'), 'utf8'), text);
  const folder = join(made.folder, 'not/there/yet/');
  assert.equal((await profile('pac', '--set', 'macs', '--out', folder)).code, 0);
  assert.equal(await readFile(join(folder, 'zonegate.pac'), 'utf8'), text);
});

test('a profile with a secret in it is for its owner alone, others are for everybody', async () => {
  const modeOf = async (name: string) => (await stat(join(made.folder, name))).mode & 0o777;
  const apple = join(made.folder, 'secret.mobileconfig');
  // What stood there before could be read by all.
  await writeFile(apple, 'of old');
  await chmod(apple, 0o644);
  assert.equal((await profile('apple-relay', '--set', 'macs', '--out', apple)).code, 0);
  assert.equal(await modeOf('secret.mobileconfig'), 0o600);
  const pac = join(made.folder, 'open.pac');
  assert.equal((await profile('pac', '--set', 'macs', '--out', pac)).code, 0);
  assert.equal(await modeOf('open.pac'), 0o644 & ~process.umask());
});

test('a file is replaced whole, and a link to it stays one', async () => {
  const folder = join(made.folder, 'replaced');
  await mkdir(folder);
  const [old, other, linked] = ['a.pac', 'b.pac', 'link.pac'].map((name) => join(folder, name));
  assert.ok(old !== undefined && other !== undefined && linked !== undefined);
  await writeFile(old, 'of old');
  // Whoever has the old one open, or by another name, keeps it as it was.
  await link(old, other);
  await symlink('a.pac', linked);
  assert.equal((await profile('pac', '--set', 'macs', '--out', linked)).code, 0);
  assert.match(await readFile(old, 'utf8'), /FindProxyForURL/);
  assert.equal(await readFile(other, 'utf8'), 'of old');
  assert.deepEqual((await readdir(folder)).sort(), ['a.pac', 'b.pac', 'link.pac']);
});

test('what cannot be written says so, and leaves nothing behind', async () => {
  const file = join(made.folder, 'in-the-way');
  await writeFile(file, '');
  const { code, stderr } = await profile('pac', '--set', 'macs', '--out', join(file, 'x.pac'));
  assert.equal(code, 2);
  assert.match(stderr, /^zonegate: cannot write `.*x\.pac`: /);
});

test('a pipe is written to, not replaced', async () => {
  const config = join(made.folder, 'zonegate.yaml');
  const command = `cli/main.ts profile pac --set macs --config ${config} --out /dev/stdout`;
  const { stdout } = await run('sh', ['-c', `${process.execPath} ${command} | cat`]);
  assert.match(stdout, /FindProxyForURL/);
});

test('without `profiles` in the configuration it says what to add', async () => {
  await using bare = await makeGatewayFolder({});
  const config = join(bare.folder, 'zonegate.yaml');
  const { code, stderr } = await zonegate('profile', 'pac', '--config', config);
  assert.equal(code, 2);
  assert.match(stderr, /add `profiles: \{ gateway: /);
});

const plistutil = program('plistutil');

test('a profile for Apple devices is a property list with the certificate', plistutil, async () => {
  const [p12, password] = ['device.p12', 'password'].map((name) => join(made.folder, name));
  assert.ok(p12 !== undefined && password !== undefined);
  await writeFile(p12, 'a bundle');
  await writeFile(password, 'correct horse\n');
  const out = join(made.folder, 'zonegate.mobileconfig');
  const identity = ['--identity', `pkcs12:${p12}`, '--identity-password-file', password];
  const { code, stderr } = await profile('apple-relay', '--set', 'macs', '--out', out, ...identity);
  assert.equal(code, 0, stderr);
  // To the binary form and back: what does not parse, or holds something else, does not come back.
  const binary = join(made.folder, 'zonegate.bplist');
  const there = await run('plistutil', ['-i', out, '-f', 'bin', '-o', binary]);
  assert.equal(there.code, 0, there.stderr);
  const { stdout } = await run('plistutil', ['-i', binary, '-f', 'xml']);
  assert.match(stdout, /<key>Password<\/key>\s*<string>correct horse<\/string>/);
  assert.match(stdout, /<key>MatchFQDNs<\/key>\s*<array>\s*<string>acme\.okta\.test</);
});

test('Apple devices are told of the SCEP server of the configuration', async () => {
  const { stdout } = await profile('apple-relay', '--set', 'macs');
  assert.match(stdout, /<key>Challenge<\/key>\s*<string>challenge of the tests</);
  assert.match(stdout, /<string>CN<\/string>\s*<string>\$SERIALNUMBER</);
});

test('an identity that is not there is wrong usage', async () => {
  for (const [identity, expected] of [
    ['acme', /no `profiles\.apple\.acme`/],
    ['pkcs12:/nowhere', /cannot read `\/nowhere`: there is no such file/],
    ['other', /`acme`, `scep` or `pkcs12:FILE`/],
  ] as const) {
    const { code, stderr } = await profile('apple-relay', '--set', 'macs', '--identity', identity);
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
});
