// Tunnels from end to end: bytes, ends of either side, idleness, egress addresses, limits.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { within } from '../support/client.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { egressAddress } from '../support/gateway-folder.ts';
import { startEcho, startServer, startSilent, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
const pools = {
  main: [egressAddress],
  wide: ['127.0.0.21', '127.0.0.22', '127.0.0.23', '127.0.0.24'],
};
const crowd = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`crowd-${i}`, {}]));
let echo: TcpServer;
let proxy: TcpServer;
let gateway: RunningGateway;
/** What the upstream proxy was asked. */
let askedOfProxy = '';

before(async () => {
  echo = stack.use(await startEcho());
  proxy = stack.use(
    await startServer((socket) => {
      socket.once('data', (head) => {
        askedOfProxy = String(head);
        socket.write('HTTP/1.1 200 OK\r\nVia: 1.1 partner\r\n\r\nwelcome ');
        socket.pipe(socket);
      });
    }),
  );
  gateway = stack.use(
    await startGateway({
      devices: crowd,
      settings: {
        egress: { pools },
        limits: { tunnelsPerDevice: 4 },
        dns: { hosts: { 'wide.test': ['127.0.0.1'] } },
        upstreams: {
          partner: {
            host: '127.0.0.1',
            port: proxy.port,
            username: 'gw',
            password: 'proxy-password',
          },
        },
      },
      rules: [
        {
          id: 'wide',
          action: 'TUNNEL',
          destinations: ['wide.test'],
          open: ['127.0.0.0/8'],
          egress: 'wide',
        },
        { id: 'partner', action: 'PROXY', upstream: 'partner', destinations: ['*.partner.test'] },
      ],
    }),
  );
});
after(() => stack.disposeAsync());

const good = () => gateway.device('good');
const to = ({ port }: { readonly port: number }) => `up.lab.test:${port}`;

/** The line that ends the tunnel whose opening line came last. */
const ended = async () => {
  const opened = gateway.logged.findLast((line) => line['zonegate.action'] === 'tunnel');
  return await gateway.line(
    (line) =>
      line['event.name'] === 'zonegate.tunnel.end' &&
      line['zonegate.tunnel.id'] === opened?.['zonegate.tunnel.id'],
    'the end of the tunnel',
  );
};

test('bytes go both ways unchanged, and each is counted', async () => {
  const tunnel = await gateway.connect(good(), to(echo));
  assert.equal(tunnel.reply.status, 200);
  assert.equal(tunnel.reply.fields.has('content-length'), false);
  assert.equal(tunnel.reply.fields.has('transfer-encoding'), false);
  const sent = randomBytes(4_000_000);
  tunnel.write(sent);
  const back = Buffer.from(await tunnel.bytes(sent.length), 'latin1');
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  assert.equal(hash(back), hash(sent));
  tunnel.end();
  assert.equal(await tunnel.rest(), '');
  await tunnel.closed();
  const line = await ended();
  assert.equal(line['zonegate.bytes.sent'], sent.length);
  assert.equal(line['zonegate.bytes.received'], sent.length);
  assert.equal(line['zonegate.end'], 'closed');
});

test('bytes sent together with CONNECT arrive once, first, and only after admission (H11)', async () => {
  const tunnel = await gateway.connect(good(), to(echo), 'early ');
  tunnel.write('late');
  assert.equal(await tunnel.bytes(10), 'early late');
  const refused = await gateway.connect(good(), 'www.example.com:443', 'early');
  assert.equal(refused.reply.status, 403);
  tunnel.socket.destroy();
});

test('a device that has said all it has to say still hears the answer', async () => {
  await using origin = await startServer((socket) => {
    let asked = '';
    socket.on('data', (chunk) => {
      asked += String(chunk);
    });
    socket.on('end', () => socket.end(`heard ${asked}`));
  });
  const tunnel = await gateway.connect(good(), to(origin));
  tunnel.write('all of it');
  tunnel.end();
  assert.equal(await tunnel.rest(), 'heard all of it');
  await tunnel.closed();
});

test('an origin that has said all it has to say still hears the device', async () => {
  const { promise: heard, resolve } = Promise.withResolvers<string>();
  await using origin = await startServer((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.end('that is all');
  });
  const tunnel = await gateway.connect(good(), to(origin));
  assert.equal(await tunnel.rest(), 'that is all');
  tunnel.write('thank you');
  tunnel.end();
  assert.equal(await within(heard, 'what the device said'), 'thank you');
});

/** A tunnel that was broken off must not look complete. */
async function resetOf(socket: Socket): Promise<void> {
  socket.resume();
  await assert.rejects(once(socket, 'end'), { code: 'ECONNRESET' });
}

test('when the origin breaks the connection the device is told at once (R06)', async () => {
  await using origin = await startSilent();
  const tunnel = await gateway.connect(good(), to(origin));
  (await origin.accepted()).resetAndDestroy();
  await tunnel.rest();
  assert.equal((await ended())['zonegate.end'], 'origin_error');
});

test('when the device vanishes the origin is told at once (R06)', async () => {
  await using origin = await startSilent();
  const tunnel = await gateway.connect(good(), to(origin));
  const socket = await origin.accepted();
  tunnel.vanish();
  await within(resetOf(socket), 'the reset at the origin');
  assert.equal((await ended())['zonegate.end'], 'device_error');
});

test('a reader that stops keeps nobody else waiting, and loses nothing when it goes on (R07)', async () => {
  const size = 24_000_000;
  await using origin = await startServer((socket) => void socket.end(Buffer.alloc(size, 'x')));
  const stopped = await gateway.connect(good(), to(origin));
  stopped.socket.pause();
  const other = await gateway.connect(good(), to(echo));
  other.write('meanwhile');
  assert.equal(await other.bytes(9), 'meanwhile');
  other.socket.destroy();
  assert.ok((await origin.accepted()).writableLength > 0, 'the origin had to wait');
  stopped.socket.resume();
  assert.equal((await stopped.rest()).length, size);
});

test('an idle tunnel is closed on both sides (R05)', async () => {
  await using own = await startGateway({ settings: { limits: { idleTunnel: '100ms' } } });
  await using origin = await startSilent();
  const tunnel = await own.connect(own.device('good'), to(origin));
  const socket = await origin.accepted();
  await Promise.all([tunnel.rest(), within(resetOf(socket), 'the reset at the origin')]);
  const line = await own.line((one) => one['zonegate.end'] === 'idle', 'the idle tunnel');
  assert.equal(line['event.name'], 'zonegate.tunnel.end');
});

test('the origin sees the egress address of the pool, and the log names it (D14)', async () => {
  const tunnel = await gateway.connect(good(), to(echo));
  assert.equal(echo.connections.at(-1)?.remoteAddress, egressAddress);
  const line = gateway.logged.findLast((one) => one['zonegate.action'] === 'tunnel');
  assert.equal(line?.['zonegate.egress.address'], egressAddress);
  assert.equal(line?.['zonegate.pool'], 'main');
  tunnel.socket.destroy();
});

test('a device always leaves from the same address of its pool, and devices share the addresses out', async () => {
  const used = new Map<string, Set<string>>();
  for (const name of [...Object.keys(crowd), ...Object.keys(crowd)]) {
    const tunnel = await gateway.connect(gateway.device(name), `wide.test:${echo.port}`);
    const address = echo.connections.at(-1)?.remoteAddress ?? '';
    assert.ok(pools.wide.includes(address), address);
    used.set(name, (used.get(name) ?? new Set()).add(address));
    tunnel.socket.destroy();
  }
  assert.ok(used.values().every((addresses) => addresses.size === 1));
  const all = new Set(used.values().flatMap((addresses) => [...addresses]));
  assert.ok(all.size > 1, 'more than one address is in use');
});

test('PROXY goes through the upstream proxy, which is told what was asked and resolves it (D12)', async () => {
  const tunnel = await gateway.connect(good(), 'www.partner.test:443');
  assert.equal(tunnel.reply.status, 200);
  assert.equal(tunnel.reply.fields.has('via'), false);
  tunnel.write('hello');
  assert.equal(await tunnel.bytes(13), 'welcome hello');
  const credentials = Buffer.from('gw:proxy-password').toString('base64');
  assert.equal(
    askedOfProxy,
    'CONNECT www.partner.test:443 HTTP/1.1\r\nHost: www.partner.test:443\r\n' +
      `Proxy-Authorization: Basic ${credentials}\r\n\r\n`,
  );
  assert.equal(proxy.connections.at(-1)?.remoteAddress, egressAddress);
  tunnel.socket.destroy();
});

test('the egress feed has the addresses of all pools', async () => {
  const { status, text } = await gateway.api('GET', '/api/v1/egress');
  assert.equal(status, 200);
  const { items } = JSON.parse(text) as { items: { address: string; pool: string }[] };
  const named = Object.entries(pools).flatMap(([pool, all]) =>
    all.map((address) => ({ address, pool, healthy: true, fault: null })),
  );
  assert.deepEqual(items, named);
});

test('a device at its limit is refused, others are not, and its places come back (R08)', async () => {
  const other = gateway.device('other');
  const tunnels = await Promise.all(
    Array.from({ length: 4 }, () => gateway.connect(other, to(echo))),
  );
  assert.ok(tunnels.every(({ reply }) => reply.status === 200));
  assert.equal((await gateway.connect(other, to(echo))).reply.status, 429);
  const elsewhere = await gateway.connect(good(), to(echo));
  assert.equal(elsewhere.reply.status, 200);
  elsewhere.socket.destroy();
  await ended();
  tunnels[0]?.socket.destroy();
  const before = gateway.logged.length;
  await gateway.line(
    (line) => gateway.logged.indexOf(line) >= before && line['zonegate.end'] !== undefined,
    'the place given back',
  );
  const again = await gateway.connect(other, to(echo));
  assert.equal(again.reply.status, 200);
  for (const { socket } of [...tunnels, again]) socket.destroy();
});

test('the list of tunnels has the open ones, by device and target, and shrinks as they end (A11)', async () => {
  await using own = await startGateway();
  const list = async () => {
    const { text } = await own.api('GET', '/api/v1/tunnels');
    return (JSON.parse(text) as { items: Record<string, unknown>[] }).items;
  };
  const tunnel = await own.connect(own.device('good'), to(echo));
  const [item, ...rest] = await list();
  assert.deepEqual(rest, []);
  assert.equal(item?.['device_id'], 'device-good');
  assert.equal(item?.['target'], to(echo));
  assert.equal(item?.['egress_address'], egressAddress);
  assert.equal(await own.metric('zonegate_tunnels_open'), 1);
  tunnel.socket.destroy();
  await own.line((line) => line['event.name'] === 'zonegate.tunnel.end', 'the end of the tunnel');
  assert.deepEqual(await list(), []);
  assert.equal(await own.metric('zonegate_tunnels_open'), 0);
});
