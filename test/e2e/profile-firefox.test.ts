// A real Firefox with nothing but the produced policies: what reaches the gateway, and what goes past it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { visitWithFirefox } from '../support/firefox.ts';
import { fillStore, type ProfileLab, startProfileLab } from '../support/profile-lab.ts';
import { program } from '../support/program.ts';

const needed = ['firefox-esr', 'certutil', 'pk12util', 'openssl', 'unshare']
  .map(program)
  .find(({ skip }) => skip !== false) ?? { skip: false };
const stack = new AsyncDisposableStack();
let lab: ProfileLab;
let policies: { readonly closed: string; readonly open: string };

before(async () => {
  if (needed.skip !== false) return;
  lab = stack.use(await startProfileLab());
  policies = {
    closed: await lab.profile('firefox', 'closed.json'),
    open: await lab.profile('firefox', 'open.json', 'open'),
  };
  await fillStore(join(lab.folder, 'firefox'), lab);
});
after(() => stack.disposeAsync());

// It ends when the page is there with its pictures, or without those it could not get.
const visit = (...pictures: readonly string[]) => visitAs('closed', pictures);
const visitAs = (failMode: 'closed' | 'open', pictures: readonly string[]) =>
  visitWithFirefox({
    profile: join(lab.folder, 'firefox'),
    policy: policies[failMode],
    url: lab.url('direct', pictures),
  });
const cameFrom = (name: string) =>
  new Set(lab.visits.filter(({ host }) => host === `${name}.lab.test`).map(({ from }) => from));

test('TUNNEL arrives at the gateway with the client certificate', needed, async () => {
  await visit('up');
  assert.deepEqual(cameFrom('up'), new Set(['127.0.0.10']));
  const line = await lab.decision('up');
  assert.equal(line['device.id'], lab.gateway.device('good').udid);
  assert.equal(line['zonegate.rule'], 'lab');
});

test('BYPASS does not reach the gateway', needed, async () => {
  await visit();
  assert.deepEqual(cameFrom('direct'), new Set(['127.0.0.1']));
  assert.deepEqual(lab.decided('direct'), []);
});

test('BLOCK gets the refusal of the gateway', needed, async () => {
  await visit('blocked');
  assert.equal((await lab.decision('blocked'))['zonegate.reason'], 'rules.block');
  assert.deepEqual(cameFrom('blocked'), new Set());
});

// The gateway lets nobody through without a certificate: who came from its address has shown one.
test('open, TUNNEL arrives at the gateway all the same, and BLOCK is refused', needed, async () => {
  const { length } = lab.visits;
  await visitAs('open', ['up', 'blocked']);
  const came = lab.visits.slice(length).filter(({ host }) => host !== 'direct.lab.test');
  assert.deepEqual(new Set(came.map(({ from }) => from)), new Set(['127.0.0.10']));
  assert.deepEqual(cameFrom('blocked'), new Set());
});

test('without the gateway what belongs into the tunnel does not go direct', needed, async () => {
  await lab.gateway.process.close();
  const before = lab.visits.length;
  await visit('up');
  assert.deepEqual(
    lab.visits.slice(before).map(({ host }) => host),
    ['direct.lab.test'],
  );
});

test('open, without the gateway it goes direct, but for what is blocked', needed, async () => {
  const { length } = lab.visits;
  await visitAs('open', ['up', 'blocked']);
  const came = lab.visits.slice(length).filter(({ host }) => host !== 'direct.lab.test');
  assert.deepEqual(new Set(came.map(({ host }) => host)), new Set(['up.lab.test']));
  assert.deepEqual(new Set(came.map(({ from }) => from)), new Set(['127.0.0.1']));
});
