// How egress addresses do: what marks them, what does not, how long they rest, and what brings them back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEgressHealth, type EgressState } from '../../../gateway/edge/egress-health.ts';
import { addressOf } from '../decision/policy-for.ts';

const [one, two] = [addressOf('198.51.100.1'), addressOf('198.51.100.2')];
const destinations = Array.from({ length: 20 }, (_, i) => addressOf(`192.0.2.${i}`));

function healthOf() {
  const world = { now: 0, trouble: new Map<string, string>() };
  const probed: string[] = [];
  const told: (readonly EgressState[])[] = [];
  const health = createEgressHealth({
    now: () => world.now,
    probe(source, destination) {
      probed.push(destination === null ? source.text : `${source.text} ${destination.text}`);
      return Promise.resolve(world.trouble.get(source.text) ?? null);
    },
    onChange: (states) => void told.push(states),
  });
  health.watch([one, two]);
  const faults = () => health.states().map(({ fault }) => fault);
  const unreachable = (count = 20) => {
    for (const [i, to] of destinations.slice(0, count).entries()) {
      health.unreachable(one, to, `device-${i % 3}`);
    }
  };
  return { health, world, probed, told, faults, unreachable };
}

test("an address that is not on the machine is everybody's last choice until it is there", async () => {
  const { health, world, probed, faults, told } = healthOf();
  await health.check();
  const before = health.unfit();
  health.failed(one, 'missing');
  assert.deepEqual([...health.unfit()], [one.text]);
  assert.equal(before.size, 0, 'a decision keeps the facts it was made by');
  world.trouble.set(one.text, 'EADDRNOTAVAIL');
  world.now = 999;
  await health.check();
  assert.equal(probed.length, 2, 'it rests');
  world.now = 1000;
  await health.check();
  assert.deepEqual(faults(), ['missing', null]);
  world.trouble.clear();
  world.now = 2999;
  await health.check();
  assert.deepEqual(faults(), ['missing', null], 'and longer the second time');
  world.now = 3000;
  await health.check();
  assert.deepEqual(faults(), [null, null]);
  assert.deepEqual(
    told.map((states) => states.map(({ fault }) => fault)),
    [
      [null, null],
      ['missing', null],
      [null, null],
    ],
    'each change is told once',
  );
});

test('it is found missing before anybody needs it, and by nothing but its absence', async () => {
  const { health, world, faults } = healthOf();
  world.trouble.set(two.text, 'EMFILE');
  await health.check();
  assert.deepEqual(faults(), [null, null], 'no descriptors left says nothing of an address');
  world.trouble.set(two.text, 'EADDRNOTAVAIL');
  world.now = 14_999;
  await health.check();
  assert.deepEqual(faults(), [null, null]);
  world.now = 15_000;
  await health.check();
  assert.deepEqual(faults(), [null, 'missing']);
});

test('many destinations in a row that cannot be reached mark an address, some do not', () => {
  const few = healthOf();
  for (let round = 0; round < 5; round += 1) {
    few.unreachable(7);
    few.health.worked(one);
  }
  assert.deepEqual(few.faults(), [null, null]);
  const { health, faults, unreachable } = healthOf();
  for (let i = 0; i < 100; i += 1) health.unreachable(one, destinations[0] ?? one, `device-${i}`);
  assert.deepEqual(faults(), [null, null], 'one destination, however often, is its own trouble');
  unreachable(8);
  assert.deepEqual(faults(), ['unreachable', null]);
  health.worked(one);
  assert.deepEqual(faults(), [null, null]);
});

test('one device, or two, that ask for what cannot be reached move nobody', () => {
  const { health, faults } = healthOf();
  const from = (deviceId: string) => {
    for (const to of destinations) health.unreachable(one, to, deviceId);
  };
  from('device-1');
  assert.deepEqual(faults(), [null, null]);
  from('device-2');
  assert.deepEqual(faults(), [null, null]);
  from('device-3');
  assert.deepEqual(faults(), ['unreachable', null], 'three do');
});

test('an address that reaches nothing is tried again towards what it could not reach', async () => {
  const { health, world, probed, faults, unreachable } = healthOf();
  await health.check();
  unreachable();
  world.trouble.set(one.text, 'ENETUNREACH');
  world.now = 1000;
  await health.check();
  assert.equal(probed.at(-1), `${one.text} ${destinations[0]?.text}`);
  assert.deepEqual(faults(), ['unreachable', null]);
  world.trouble.clear();
  world.now = 3000;
  await health.check();
  assert.deepEqual(faults(), [null, null]);
});

test('ports used up pass with time, not with a connection somewhere else', async () => {
  const { health, world, faults } = healthOf();
  await health.check();
  health.failed(one, 'ports');
  health.worked(one);
  assert.deepEqual(faults(), ['ports', null]);
  world.now = 1000;
  await health.check();
  assert.deepEqual(faults(), [null, null]);
});

test('a fault that comes back soon lasts longer, at most a minute; well for a while, it starts anew', async () => {
  const { health, world, faults } = healthOf();
  await health.check();
  const rests: number[] = [];
  const restOf = async () => {
    const since = world.now;
    health.failed(one, 'ports');
    while (faults()[0] !== null) {
      world.now += 1000;
      await health.check();
    }
    return world.now - since;
  };
  for (let i = 0; i < 8; i += 1) rests.push(await restOf());
  assert.deepEqual(rests, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  world.now += 15_000;
  await health.check();
  assert.equal(await restOf(), 1000);
});

test('a reload keeps what is known of addresses that stay, and forgets the others', () => {
  const { health } = healthOf();
  health.failed(one, 'missing');
  health.failed(two, 'missing');
  const three = addressOf('198.51.100.3');
  health.watch([two, three]);
  assert.deepEqual(health.states(), [
    { address: two.text, fault: 'missing' },
    { address: three.text, fault: null },
  ]);
  health.failed(one, 'missing');
  health.worked(one);
  health.unreachable(one, three, 'device-1');
  assert.deepEqual([...health.unfit()], [two.text]);
});
