// Connections nobody is known on: bounded per source and in total, the oldest makes room.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { clientKey } from '../../../gateway/edge/rate.ts';
import { createStrangers } from '../../../gateway/edge/strangers.ts';

const onEvicted = (): void => undefined;

let lastPort = 0;
function socketFrom(remoteAddress: string) {
  lastPort += 1;
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress,
    remotePort: lastPort,
    destroyed: false,
    destroy() {
      socket.destroyed = true;
      socket.emit('close');
    },
  });
  return socket as unknown as Socket & { destroyed: boolean };
}

test('one too many from a source costs its oldest the place, and nobody else (R01)', () => {
  const strangers = createStrangers({ maxPerSource: 2, maxTotal: 10, onEvicted });
  const other = socketFrom('192.0.2.9');
  const [first, second, third] = [1, 2, 3].map(() => socketFrom('192.0.2.1'));
  for (const one of [other, first, second, third]) strangers.enter(one as Socket);
  assert.deepEqual(
    [other, first, second, third].map((one) => one?.destroyed),
    [false, true, false, false],
  );
  assert.equal(strangers.count(), 3);
});

test('one too many in all costs the oldest of all the place (R01)', () => {
  const strangers = createStrangers({ maxPerSource: 2, maxTotal: 3, onEvicted });
  const all = [1, 2, 3, 4].map((host) => socketFrom(`192.0.2.${host}`));
  for (const one of all) strangers.enter(one);
  assert.deepEqual(
    all.map((one) => one.destroyed),
    [true, false, false, false],
  );
});

test('whoever is known does not count any more', () => {
  const strangers = createStrangers({ maxPerSource: 1, maxTotal: 1, onEvicted });
  const known = socketFrom('192.0.2.1');
  strangers.enter(known);
  assert.ok(strangers.has(known));
  strangers.know({ remoteAddress: known.remoteAddress, remotePort: known.remotePort });
  assert.ok(!strangers.has(known));
  strangers.know(known);
  strangers.enter(socketFrom('192.0.2.1'));
  assert.equal(known.destroyed, false);
});

test('whoever leaves gives the place back', () => {
  const strangers = createStrangers({ maxPerSource: 1, maxTotal: 1, onEvicted });
  for (let i = 0; i < 3; i += 1) {
    const socket = socketFrom('192.0.2.1');
    strangers.enter(socket);
    socket.destroy();
  }
  assert.equal(strangers.count(), 0);
});

for (const [text, source] of [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', clientKey('2001:db8:1:2::')],
  ['fe80::1%eth0', clientKey('fe80::2')],
] as const) {
  test(`${text} counts as ${source}`, () => {
    assert.equal(clientKey(text), source);
  });
}

test('different networks are different sources', () => {
  assert.notEqual(clientKey('2001:db8:1:2::1'), clientKey('2001:db8:1:3::1'));
});
