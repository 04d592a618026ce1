// A real Chromium that is told nothing but the address of its PAC file, which the gateway serves it.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium } from 'playwright-core';
import { parseDocument } from 'yaml';
import { managed } from '../support/managed.ts';
import { fillStore, type ProfileLab, startProfileLab } from '../support/profile-lab.ts';
import { program, run, zonegate } from '../support/program.ts';

const needed = ['chromium', 'certutil', 'pk12util', 'openssl', 'unshare']
  .map(program)
  .find(({ skip }) => skip !== false) ?? { skip: false };
const listeners = { device: '127.0.0.1:0', pac: '127.0.0.1:0' };
const pacSecret = 'secret of the tests';
const stack = new AsyncDisposableStack();
let lab: ProfileLab;
let browser: Browser;

before(async () => {
  if (needed.skip !== false) return;
  lab = stack.use(
    await startProfileLab({ listeners, profiles: { gateway: '127.0.0.1:1', pacSecret } }),
  );
  const { pacPort } = lab.gateway.gateway;
  const settings = parseDocument(await readFile(join(lab.folder, 'with-profiles.yaml'), 'utf8'));
  settings.setIn(['profiles', 'pacServer'], `127.0.0.1:${pacPort}`);
  await writeFile(join(lab.folder, 'zonegate.yaml'), String(settings));
  await lab.gateway.line((line) => line['event.name'] === 'zonegate.reload', 'the new settings');
  browser = await launch(await pacUrl());
  stack.defer(() => browser.close());
});
after(() => stack.disposeAsync());

async function pacUrl(): Promise<string> {
  const { udid } = lab.gateway.device('good');
  const config = join(lab.folder, 'zonegate.yaml');
  const args = ['--url', '--device', udid, '--config', config];
  const { code, stdout, stderr } = await zonegate('profile', 'pac', ...args);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** The store has the device's certificate and whom to trust; which certificate to show is a policy's to say. */
async function launch(url: string): Promise<Browser> {
  const home = join(lab.folder, 'home');
  const store = join(home, '.pki/nssdb');
  await fillStore(store, lab);
  const trusted = ['-t', 'C,,', '-i', lab.files.authority, '-d', `sql:${store}`];
  assert.equal((await run('certutil', ['-A', '-n', 'gateway', ...trusted])).code, 0);
  const policy = join(lab.folder, 'choose.json');
  const choice = { pattern: `https://127.0.0.1:${lab.gateway.port}`, filter: {} };
  const choose = { AutoSelectCertificateForUrls: [JSON.stringify(choice)] };
  await writeFile(policy, JSON.stringify(choose));
  const executablePath = await managed(join(home, 'chromium'), {
    program: 'chromium',
    cover: '/etc/chromium',
    place: '/etc/chromium/policies/managed/zonegate.json',
    policy,
  });
  const args = [
    `--proxy-pac-url=${url}`,
    '--host-resolver-rules=MAP *.lab.test 127.0.0.1',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  return await chromium.launch({ executablePath, args, env: { ...process.env, HOME: home } });
}

test('Chromium fetches its PAC file: TUNNEL arrives with the certificate', needed, async () => {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('up'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.10');
  const { udid } = lab.gateway.device('good');
  assert.equal((await lab.decision('up'))['device.id'], udid);
  const isFetch = (line: Readonly<Record<string, unknown>>) =>
    line['event.name'] === 'zonegate.own';
  const fetched = await lab.gateway.line(isFetch, 'the PAC file');
  assert.equal(fetched['zonegate.endpoint'], 'pac_token');
  assert.equal(fetched['device.id'], udid);
});

test('BYPASS does not reach the gateway', needed, async () => {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('direct'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.1');
  assert.deepEqual(lab.decided('direct'), []);
});
