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
let openBrowser: Browser;

before(async () => {
  if (needed.skip !== false) return;
  lab = stack.use(await startProfileLab());
  await fillStore(join(lab.folder, 'home/.pki/nssdb'), lab);
  browser = await launch('closed');
  openBrowser = await launch('open');
});
after(() => stack.disposeAsync());

async function launch(failMode: 'closed' | 'open'): Promise<Browser> {
  const home = join(lab.folder, 'home');
  const executablePath = await managed(join(home, failMode, 'chromium'), {
    program: 'chromium',
    cover: '/etc/chromium',
    place: '/etc/chromium/policies/managed/zonegate.json',
    policy: await lab.profile('chromium', `${failMode}/zonegate.json`, failMode),
  });
  const env = { ...process.env, HOME: home };
  const launched = await chromium.launch({ executablePath, args, env });
  stack.defer(() => launched.close());
  return launched;
}

const udid = () => lab.gateway.device('good').udid;

test('TUNNEL arrives at the gateway with the client certificate', needed, async () => {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('up'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.10');
  const line = await lab.decision('up');
  assert.equal(line['device.id'], udid());
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

// The gateway lets nobody through without a certificate: who came from its address has shown one.
test('open, TUNNEL arrives at the gateway all the same, and BLOCK is refused', needed, async () => {
  await using context = await openBrowser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('up'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.10');
  const another = await context.newPage();
  await assert.rejects(another.goto(lab.url('blocked')), /ERR_TUNNEL_CONNECTION_FAILED/);
});

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

test('open, without the gateway it goes direct, but for what is blocked', needed, async () => {
  await using context = await openBrowser.newContext();
  const page = await context.newPage();
  await page.goto(lab.url('up'));
  assert.equal(await page.locator('body').textContent(), 'came from 127.0.0.1');
  const blocked = await context.newPage();
  await assert.rejects(blocked.goto(lab.url('blocked')), /ERR_PROXY_CONNECTION_FAILED/);
  assert.ok(lab.visits.every(({ host }) => host !== 'blocked.lab.test'));
});
