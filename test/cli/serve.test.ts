// What `zonegate serve` says of itself in the line `ready`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portsOf } from '../../cli/serve.ts';

test('the ready line names the port of every listener there is, and of no other', () => {
  const all = { port: 1, http1Port: 2, appPorts: [3, 4], pacPort: 5 };
  assert.deepEqual(portsOf({ devices: all, idp: null, adminPort: 6 }), {
    device: 1,
    deviceHttp1: 2,
    apps: [3, 4],
    pac: 5,
    admin: 6,
  });
  const few = { port: 1, http1Port: null, appPorts: [], pacPort: null };
  assert.deepEqual(portsOf({ devices: few, idp: null, adminPort: 6 }), { device: 1, admin: 6 });
  assert.deepEqual(portsOf({ devices: null, idp: null, adminPort: 6 }), { admin: 6 });
});
