// Admission under races: whatever changes or leaves in between, everything is released and one line is logged.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { silentPort } from '../../support/silent-port.ts';
import { healthyReport } from '../decision/policy-for.ts';
import {
  authority,
  connectDevice,
  type Edge,
  eventually,
  runEdge,
  runOrigin,
  send,
} from './running-edge.ts';

const connect = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
const get = (target: string): string =>
  `GET http://${target}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;

const decisions = (edge: Edge) =>
  edge.lines.filter((one) => one['event.name'] === 'zonegate.admit');
const reasonsOf = (edge: Edge) => decisions(edge).map((one) => one['zonegate.reason']);

const unhealthy = (): PostureFacts => ({
  known: true,
  report: {
    ...healthyReport,
    compliance: 'non_compliant',
    fetchedAt: Date.now(),
    lastSeen: Date.now(),
  },
});

/** A promise to be opened later, and a way to see that somebody waits for it. */
function gate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: async () => {
      reached.resolve();
      await opened.promise;
    },
  };
}

async function leave(t: TestContext, edge: Edge, bytes: string, when: Promise<void>) {
  const client = await connectDevice(t, edge);
  client.write(bytes);
  await when;
  client.socket.resume().destroy();
}

test('a device that leaves while its posture is fetched is not dialled for (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const facts = edge.posture;
  const posture = gate();
  edge.posture = async () => {
    await posture.pass();
    return await facts();
  };
  await leave(t, edge, connect(`127.0.0.1:${origin.port}`), posture.reached);
  posture.open();
  await eventually(() => decisions(edge).length === 1, 'it is decided');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  await eventually(() => origin.sockets.every((one) => one.closed), 'nothing is left open');
});

test('a plain request of a device that left does not outlast it by much (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { idleMs: 4_000, firstByteMs: 4_000 });
  const client = await connectDevice(t, edge);
  client.write(get(`127.0.0.1:${origin.port}`));
  await eventually(() => (origin.sockets[0]?.bytesRead ?? 0) > 0, 'the request is there');
  t.mock.timers.enable({ apis: ['setTimeout'] }); // only now: undici has no timer to make any more
  const { socket } = client;
  socket.end();
  await eventually(() => {
    t.mock.timers.tick(100);
    return edge.tunnels.count() === 0;
  }, 'the place is free again');
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'request.abandoned');
});

test('a device that leaves while its name is resolved is not dialled for (R06)', async (t) => {
  const dns = gate();
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, {
    resolve: async () => {
      await dns.pass();
      return [];
    },
  });
  await leave(t, edge, connect(`origin.test:${origin.port}`), dns.reached);
  dns.open();
  await eventually(() => decisions(edge).length === 1, 'it is decided');
  assert.equal(edge.tunnels.count(), 0);
  assert.equal(origin.sockets.length, 0);
});

test('a device that leaves while it is dialled for ends the dialling (R06)', async (t) => {
  const port = await silentPort(t);
  const edge = await runEdge(t, { dialTimeoutMs: 4_000 });
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${port}`));
  await eventually(() => edge.tunnels.count() === 1, 'it is being dialled');
  client.socket.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.deepEqual(reasonsOf(edge), ['request.abandoned']);
});

test('posture lost while connecting refuses, and lets the origin go (P03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const healthy = edge.posture;
  let asked = 0;
  edge.posture = () => {
    asked += 1;
    return asked === 1 ? healthy() : Promise.resolve(unhealthy());
  };
  const text = await send(t, edge, connect(`127.0.0.1:${origin.port}`));
  assert.match(text, /^HTTP\/1\.1 403 .*posture\.non_compliant/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.equal(edge.tunnels.count(), 0);
});

test('a snapshot that changes while connecting is asked, though posture is the same (P03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const facts = await edge.posture();
  const policy = edge.parts.policy();
  const nobody = { ...policy, identity: { ...policy.identity, allowedFingerprints: new Set() } };
  let asked = 0;
  edge.posture = () => {
    asked += 1;
    if (asked === 2) Object.assign(edge.parts, { policy: () => nobody });
    return Promise.resolve(facts);
  };
  const text = await send(t, edge, connect(`127.0.0.1:${origin.port}`));
  assert.match(text, /^HTTP\/1\.1 403 .*identity\.not_listed/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('a block that begins while connecting refuses, though its UEM says the same (P03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const facts = await edge.posture();
  const block = { deviceId: 'd', reason: 'lost', by: 'ann', since: 0, until: null };
  let asked = 0;
  edge.posture = () => {
    asked += 1;
    return Promise.resolve({ ...facts, block: asked === 1 ? null : block });
  };
  const text = await send(t, edge, connect(`127.0.0.1:${origin.port}`));
  assert.match(text, /^HTTP\/1\.1 403 .*posture\.blocked/s);
});

test('a change between the last look and the answer cuts all the same (P03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const healthy = edge.posture;
  let asked = 0;
  edge.posture = async () => {
    asked += 1;
    const facts = await healthy();
    // The event arrives while the second look, with the old facts, is on its way back.
    if (asked === 2) edge.tunnels.rejudge(null, () => 'posture.compromised');
    return facts;
  };
  const text = await send(t, edge, connect(`127.0.0.1:${origin.port}`));
  assert.match(text, /^HTTP\/1\.1 403 .*posture\.compromised/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.equal(edge.tunnels.count(), 0);
});

test('draining while connecting refuses with its own reason (R12)', async (t) => {
  const port = await silentPort(t);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${port}`));
  await eventually(() => edge.tunnels.count() === 1, 'it is being dialled');
  await edge.tunnels.drain(AbortSignal.abort());
  assert.match(await client.closed(), /^HTTP\/1\.1 503 .*limits\.draining/s);
});

test('nothing is resolved or dialled for a refusal', async (t) => {
  const edge = await runEdge(t, { resolve: () => assert.fail('looked up') });
  edge.posture = () => Promise.resolve(unhealthy());
  assert.match(await send(t, edge, connect('origin.test:443')), /posture\.non_compliant/);
  edge.posture = () => Promise.resolve({ report: null, known: true });
  assert.match(await send(t, edge, connect('origin.test:443')), /posture\.unknown_device/);
});

test('a fault of our own is a 500 that says nothing more', async (t) => {
  const edge = await runEdge(t);
  edge.posture = () => Promise.reject(new TypeError('secret detail at /path'));
  const text = await send(t, edge, connect('127.0.0.1:443'));
  assert.match(text, /^HTTP\/1\.1 500 .*gateway\.internal/s);
  assert.doesNotMatch(text, /secret|path/);
  assert.equal(decisions(edge)[0]?.['error.message'], 'secret detail at /path');
});

test('a name that cannot be resolved is a 502 or 504, and the place was never taken (S13)', async (t) => {
  for (const [code, status] of [
    ['dns.failed', 502],
    ['dns.timeout', 504],
  ] as const) {
    const edge = await runEdge(t, { resolve: () => Promise.reject(new GatewayError(code, 'no')) });
    const text = await send(t, edge, connect('origin.test:443'));
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} .*${code.replace('.', '\\.')}`, 's'));
    assert.equal(edge.tunnels.count(), 0);
  }
});

test('an answer that mixes addresses is refused whole (S07)', async (t) => {
  const { addressOf } = await import('../decision/policy-for.ts');
  const edge = await runEdge(t, {
    resolve: () => Promise.resolve([addressOf('127.0.0.1'), addressOf('10.0.0.1')]),
  });
  assert.match(await send(t, edge, connect('origin.test:443')), /403 .*address\.special/s);
});

test('a destination that is silent is a 504 within the dial limit (R09)', async (t) => {
  const port = await silentPort(t);
  const edge = await runEdge(t, { dialTimeoutMs: 50 });
  assert.match(
    await send(t, edge, connect(`127.0.0.1:${port}`)),
    /^HTTP\/1\.1 504 .*dial\.timeout/s,
  );
  assert.equal(edge.tunnels.count(), 0);
});

test('certificates nobody trusts are told so, and their connection is closed (T01, T02)', async (t) => {
  const edge = await runEdge(t);
  const { createAuthority } = await import('../../../runtime/authority.ts');
  const other = await createAuthority({ name: 'edge test devices', days: 30 });
  const stranger = await other.issue({ commonName: 'x', usage: 'client', days: 2 });
  const expired = await authority.issue({
    commonName: 'x',
    usage: 'client',
    days: 1,
    notBefore: Date.now() - 3 * 86_400_000,
  });
  for (const [identity, reason] of [
    [null, 'identity.no_certificate'],
    [stranger, 'identity.untrusted'],
    [expired, 'identity.expired'],
  ] as const) {
    for (const bytes of [
      connect('127.0.0.1:1'),
      get('127.0.0.1:1').replace('close', 'keep-alive'),
    ]) {
      const client = await connectDevice(t, edge, { identity });
      client.write(bytes);
      assert.match(await client.closed(), new RegExp(`^HTTP/1\\.1 403 .*${reason}`, 's'));
    }
  }
});
