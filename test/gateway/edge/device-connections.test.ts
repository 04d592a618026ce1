// The connections of a device: counted while they are open, whatever becomes of them.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createDeviceConnections } from '../../../gateway/edge/device-connections.ts';

const connection = (): TLSSocket => new EventEmitter() as TLSSocket;

test('one too many of a device is told so, and does not count (R08)', () => {
  const connections = createDeviceConnections(() => 2);
  const [first, second, third] = [connection(), connection(), connection()];
  assert.ok(connections.enter('one', first));
  assert.ok(connections.enter('one', second));
  assert.equal(connections.enter('one', third), false);
  assert.ok(connections.enter('two', connection()), 'another device has its own limit');
  third.emit('close');
  assert.equal(connections.enter('one', connection()), false);
});

test('a connection that closes gives its place back (R08)', () => {
  const connections = createDeviceConnections(() => 1);
  const first = connection();
  assert.ok(connections.enter('one', first));
  first.emit('close');
  assert.ok(connections.enter('one', connection()));
  assert.equal(connections.enter('one', connection()), false);
});
