// What the gateway serves devices itself, asked for by a real client: curl.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseDocument } from 'yaml';
import { type ProfileLab, startProfileLab } from '../support/profile-lab.ts';
import { program, run, zonegate } from '../support/program.ts';

const curl = program('curl');
const stack = new AsyncDisposableStack();
let lab: ProfileLab;

before(async () => {
  lab = stack.use(await startProfileLab());
  const settings = parseDocument(await readFile(join(lab.folder, 'with-profiles.yaml'), 'utf8'));
  settings.setIn(['profiles', 'pacSecret'], 'secret of the tests');
  await writeFile(join(lab.folder, 'zonegate.yaml'), String(settings));
  await lab.gateway.line((line) => line['event.name'] === 'zonegate.reload', 'the new settings');
});
after(() => stack.disposeAsync());

async function get(path: string, ...args: readonly string[]) {
  const { authority } = lab.files;
  const url = `https://127.0.0.1:${lab.gateway.port}${path}`;
  const { stdout } = await run('curl', ['-sS', '-i', '--cacert', authority, ...args, url]);
  const [head = '', body = ''] = stdout.split('\r\n\r\n');
  return { head, body };
}

const asDevice = () => ['--cert', lab.files.certificate, '--key', lab.files.key];

async function pacUrl(): Promise<string> {
  const { udid } = lab.gateway.device('good');
  const config = join(lab.folder, 'zonegate.yaml');
  const args = ['--url', '--device', udid, '--config', config];
  const { code, stdout, stderr } = await zonegate('profile', 'pac', ...args);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test('curl gets each of them with the certificate of the device', curl, async () => {
  for (const version of ['--http1.1', '--http2']) {
    const who = await get('/whoami', ...asDevice(), version);
    assert.match(who.head, /^HTTP\/\S+ 200/);
    assert.equal((JSON.parse(who.body) as { rule_set: unknown }).rule_set, 'staff');
    const pac = await get('/pac', ...asDevice(), version);
    assert.match(pac.head, /content-type: application\/x-ns-proxy-autoconfig/i);
    const pvd = await get('/.well-known/pvd', ...asDevice(), version);
    assert.match(pvd.head, /content-type: application\/pvd\+json/i);
  }
});

test(
  'without a certificate curl gets the PAC file at its address, and nothing else',
  curl,
  async () => {
    assert.match((await get('/pac')).head, /^HTTP\/\S+ 4\d\d/);
    const { pathname } = new URL(await pacUrl());
    const pac = await get(pathname);
    assert.match(pac.head, /^HTTP\/\S+ 200/);
    assert.equal(pac.body, (await get('/pac', ...asDevice())).body);
  },
);
