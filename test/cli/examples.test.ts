// The examples in deploy/ load as they are, with certificates and secrets beside them, and their own tests pass.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadEverything } from '../../cli/load.ts';
import { hashPassword } from '../../idp-zone/edge/password.ts';
import { type Authority, createAuthority } from '../../runtime/authority.ts';
import { formatIssue } from '../../runtime/issue.ts';
import { root } from '../docs/markdown.ts';
import { mmdbOf } from '../support/mmdb.ts';

const days = 30;

test('the examples load without an issue, and their own tests pass', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-examples-'));
  try {
    await copyExamples(folder);
    await makeCertificates(join(folder, 'certs'));
    await makeSecrets(folder);
    await makePlaces(join(folder, 'places'));
    const read = await loadEverything(join(folder, 'zonegate.yaml'));
    assert.deepEqual(read.ok ? [] : read.issues.map(formatIssue), []);
    assert.ok(read.ok && read.all.gateway !== null && read.all.idp !== null);
    const { rules } = read.all.gateway;
    assert.ok(rules.value.tests.length > 0, 'the rules have tests');
    assert.equal(read.all.idp.policy.zones.length, 6);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every file that the example names is in the list of deploy/README.md', async () => {
  const yaml = await readFile(join(root, 'deploy/zonegate.example.yaml'), 'utf8');
  const listed = await readFile(join(root, 'deploy/README.md'), 'utf8');
  for (const [path] of yaml.matchAll(/certs\/[\w.-]+/g))
    assert.ok(listed.includes(`\`${path}\``), path);
});

async function copyExamples(folder: string): Promise<void> {
  for (const name of await readdir(join(root, 'deploy'))) {
    if (!name.endsWith('.example.yaml')) continue;
    await copyFile(join(root, 'deploy', name), join(folder, name.replace('.example', '')));
  }
}

async function makePlaces(folder: string): Promise<void> {
  await mkdir(folder);
  const countries = mmdbOf({ '203.0.113.0/24': { country: { iso_code: 'FI' } } });
  await writeFile(join(folder, 'countries.mmdb'), countries);
}

async function makeCertificates(folder: string): Promise<void> {
  await mkdir(folder);
  const write = (name: string, text: string) =>
    writeFile(join(folder, name), text, { mode: 0o600 });
  const device = await createAuthority({ name: 'Device root', days });
  const issuing = await device.issueAuthority({ name: 'Device issuing', days });
  for (const [name, authority] of [
    ['device-root', device],
    ['device-issuing', issuing],
  ] as const) {
    await write(`${name}.pem`, authority.certificatePem);
    await write(`${name}.crl`, await emptyList(authority));
  }
  for (const [name, host] of [
    ['gateway', 'gw1.example.com'],
    ['idp', 'login.example.com'],
  ] as const) {
    const request = { commonName: host, sans: { dns: [host] }, usage: 'server', days } as const;
    const issued = await device.issue(request);
    await write(`${name}.pem`, issued.chainPem);
    await write(`${name}-key.pem`, issued.keyPem);
  }
}

function emptyList(authority: Authority): Promise<string> {
  const now = Date.now();
  const nextUpdate = now + days * 86_400_000;
  return authority.revocationList({ revoked: [], thisUpdate: now - 60_000, nextUpdate, number: 1 });
}

/** One file for each `${file:secrets/…}`. */
async function makeSecrets(folder: string): Promise<void> {
  await mkdir(join(folder, 'secrets'));
  const hash = await hashPassword('correct horse');
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.yaml')) continue;
    const yaml = await readFile(join(folder, name), 'utf8');
    for (const [, file = ''] of yaml.matchAll(/\$\{file:([^}]+)\}/g)) {
      const value = file.endsWith('-hash') ? hash : `${file} of at least 32 characters`;
      await writeFile(join(folder, file), `${value}\n`, { mode: 0o600 });
    }
  }
}
