// A real Chromium with nothing but the produced policies: what reaches the gateway, and what goes past it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium } from 'playwright-core';
import { managed } from '../support/managed.ts';
import { fillStore, type ProfileLab, startProfileLab } from '../support/profile-lab.ts';
import { program } from '../support/program.ts';

const needed = ['chromium', 'certutil', 'pk12util', 'openssl', 'unshare']
  .map(program)
  .find(({ skip }) => skip !== false) ?? { skip: false };
// Direct and tunnelled, every name of the lab leads to the same site: only the way there differs.
const args = [
  '--host-resolver-rules=MAP *.lab.test 127.0.0.1',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const stack = new AsyncDisposableStack();
let lab: ProfileLab;
let browser: Browser;

before(async () => {
  if (needed.skip !== false) return;
  lab = stack.use(await startProfileLab());
  const policy = await lab.profile('chromium', 'managed/zonegate.json');
  const home = join(lab.folder, 'home');
  await fillStore(join(home, '.pki/nssdb'), lab);
  const executablePath = await managed(join(home, 'chromium'), {
    program: 'chromium',
    cover: '/etc/chromium',
    place: '/etc/chromium/policies/managed/zonegate.json',
    policy,
  });
  browser = await chromium.launch({ executablePath, args, env: { ...process.env, HOME: home } });
  stack.defer(() => browser.close());
});
after(() => stack.disposeAsync());

test('TUNNEL arrives at the gateway with the client certificate', needed, async () => {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('up'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.10');
  const line = await lab.decision('up');
  assert.equal(line['device.id'], lab.gateway.device('good').udid);
  assert.equal(line['zonegate.rule'], 'lab');
});

test('BYPASS does not reach the gateway', needed, async () => {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('direct'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.1');
  assert.deepEqual(lab.decided('direct'), []);
});

test(
  'BLOCK gets the refusal of the gateway, in words where there is no TLS in the way',
  needed,
  async () => {
    await using context = await browser.newContext();
    const page = await context.newPage();
    await assert.rejects(page.goto(lab.url('blocked')), /ERR_TUNNEL_CONNECTION_FAILED/);
    assert.equal((await lab.decision('blocked'))['zonegate.reason'], 'rules.block');
    const another = await context.newPage();
    const answer = await another.goto('http://blocked.lab.test/');
    assert.equal(answer?.status(), 403);
    assert.match(String(await another.locator('body').textContent()), /rules\.block/);
    assert.ok(lab.visits.every(({ host }) => host !== 'blocked.lab.test'));
  },
);

test(
  'without the gateway what belongs into the tunnel fails, and nothing goes direct',
  needed,
  async () => {
    await lab.gateway.process.close();
    await using context = await browser.newContext();
    const before = lab.visits.length;
    const tunnelled = await context.newPage();
    await assert.rejects(tunnelled.goto(lab.url('up')), /ERR_PROXY_CONNECTION_FAILED/);
    assert.equal(lab.visits.length, before);
    const direct = await context.newPage();
    await direct.goto(lab.url('direct'));
    assert.equal(lab.visits.at(-1)?.from, '127.0.0.1');
  },
);
