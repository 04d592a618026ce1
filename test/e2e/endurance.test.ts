// The real program over time: many tunnels leave no more behind than few, ten thousand can be open, and one that reads nothing costs nothing.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { openTls, within } from '../support/client.ts';
import { type Connected, connectOver } from '../support/gateway.ts';
import { type Device, type GatewayFolder, makeGatewayFolder } from '../support/gateway-folder.ts';
import { type RunningCommand, root, startNode } from '../support/program.ts';
import { freePorts, startEcho, startServer, type TcpServer } from '../support/upstream.ts';

/** How many times more tunnels than CI has time for. */
const scale = Number(process.env['ZONEGATE_ENDURANCE'] ?? 1);

const stack = new AsyncDisposableStack();
let echo: TcpServer;
before(async () => {
  echo = stack.use(await startEcho());
});
after(() => stack.disposeAsync());

const to = ({ port }: { readonly port: number }) => `up.lab.test:${port}`;

interface Heap {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
}

interface Served extends RunningCommand {
  readonly made: GatewayFolder;
  readonly good: Device;
  readonly port: number;
  metric(series: string): Promise<number>;
  /** What the garbage collector leaves. */
  heap(): Promise<Heap>;
  /** The same, when all tunnels have ended. */
  heapAtRest(): Promise<Heap>;
}

async function serve(): Promise<Served> {
  const [port = 0, admin = 0] = await freePorts(2);
  const many = 1_000_000;
  const limits = {
    tunnels: many,
    tunnelsPerDevice: many,
    newTunnelsPerDevice: many,
    unauthenticated: many,
    unauthenticatedPerSource: many,
    idleConnection: '10m',
  };
  const listeners = { device: `127.0.0.1:${port}` };
  const settings = { limits, listeners, admin: { listen: `127.0.0.1:${admin}` } };
  const made = await makeGatewayFolder({ settings });
  const diagnostic = ['--expose-gc', `--import=${join(root, 'test/support/heap-on-signal.ts')}`];
  const program = ['cli/main.ts', 'serve', '--config', join(made.folder, 'zonegate.yaml')];
  const serving = startNode([...diagnostic, ...program], 'ignore');
  const page = async (path: string): Promise<string> =>
    await fetch(`http://127.0.0.1:${admin}${path}`).then(
      (response) => response.text(),
      () => '',
    );
  const isReady = async (): Promise<void> => {
    while (!(await page('/readyz')).includes('"ready"'));
  };
  await within(isReady(), 'a gateway that is ready', 30_000);
  const metric = async (series: string): Promise<number> => {
    const lines = (await page('/metrics')).split('\n');
    return Number(lines.find((one) => one.startsWith(`${series} `))?.slice(series.length));
  };
  const readings = () => serving.stderr().match(/(?<=heap: ).*(?=\n)/g) ?? [];
  const heap = async (): Promise<Heap> => {
    const before = readings().length;
    serving.stop('SIGUSR2');
    await serving.shows(new RegExp(`(heap: .*\\n[^]*){${before + 1}}`));
    return JSON.parse(readings()[before] ?? '') as Heap;
  };
  return {
    ...serving,
    made,
    good: made.device('good'),
    port,
    metric,
    heap,
    async heapAtRest() {
      const rest = async (): Promise<void> => {
        while ((await metric('zonegate_tunnels_open')) > 0);
      };
      await within(rest(), 'the end of all tunnels');
      return await heap();
    },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await made[Symbol.asyncDispose]();
    },
  };
}

const connect = async ({ port, made, good }: Served, target = to(echo)): Promise<Connected> =>
  connectOver(await openTls({ port, ca: made.serverAuthority, keys: good }), target);

const speakH2 = ({ port, made, good }: Served) =>
  http2.connect(`https://localhost:${port}`, {
    ca: made.serverAuthority,
    cert: good.cert,
    key: good.key,
  });

/** A tunnel in a stream, once it has been answered. */
async function openStream(session: http2.ClientHttp2Session): Promise<http2.ClientHttp2Stream> {
  const stream = session.request({ ':method': 'CONNECT', ':authority': to(echo) });
  const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  assert.equal(fields[':status'], 200);
  return stream;
}

async function echoes(stream: http2.ClientHttp2Stream): Promise<void> {
  stream.write('still here');
  const [back] = (await within(once(stream, 'data'), 'an echo')) as [Buffer];
  assert.equal(String(back), 'still here');
}

/** So many times, at most so many at once. */
async function times(count: number, atOnce: number, work: () => Promise<void>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const grownBy = (before: Heap, after: Heap): number =>
  after.heapUsed + after.external - before.heapUsed - before.external;

/** A gateway that is warm goes on compiling; an object kept for each tunnel would come to more. */
function assertFlat(t: TestContext, [few, many]: readonly [Heap, Heap], tunnels: number): void {
  const grown = grownBy(few, many);
  t.diagnostic(`${grown} bytes more after ${tunnels} more tunnels: ${JSON.stringify([few, many])}`);
  assert.ok(grown < 500_000 + 100 * tunnels, `${grown} bytes more after ${tunnels} more tunnels`);
}

test('many tunnels in HTTP/2 streams leave no more behind than few', async (t) => {
  await using served = await serve();
  const run = async (count: number): Promise<Heap> => {
    const session = speakH2(served);
    await times(count, 50, async () => {
      const stream = await openStream(session);
      await echoes(stream);
      const closed = once(stream, 'close');
      stream.end();
      await closed;
    });
    session.destroy();
    return await served.heapAtRest();
  };
  await run(2000);
  const few = await run(500);
  const many = Math.round(6000 * scale);
  assertFlat(t, [few, await run(many)], many);
});

test('many HTTP/1.1 tunnels, each over TLS of its own, leave no more behind than few', async (t) => {
  await using served = await serve();
  const run = async (count: number): Promise<Heap> => {
    await times(count, 10, async () => {
      const tunnel = await connect(served);
      tunnel.write('still here');
      assert.equal(await tunnel.bytes(10), 'still here');
      tunnel.end();
      await tunnel.closed();
    });
    return await served.heapAtRest();
  };
  await run(900);
  const few = await run(100);
  const many = Math.round(1000 * scale);
  assertFlat(t, [few, await run(many)], many);
});

test('ten thousand tunnels are open at once, and every one of a sample still carries', async (t) => {
  await using served = await serve();
  // Both ends of every tunnel and the connections it comes by; here and in the gateway it is the same.
  const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim());
  const wanted = Number.isNaN(descriptors) ? 10_000 : Math.min(10_000, descriptors - 2000);
  const atRest = await served.heapAtRest();
  const overHttp1: Connected[] = [];
  await times(wanted / 10, 20, async () => void overHttp1.push(await connect(served)));
  const sessions = Array.from({ length: Math.ceil(wanted / 100) }, () => speakH2(served));
  const streams: http2.ClientHttp2Stream[] = [];
  for (const session of sessions) {
    const count = Math.min(90, wanted - overHttp1.length - streams.length);
    await times(count, 90, async () => void streams.push(await openStream(session)));
  }
  assert.equal(await served.metric('zonegate_tunnels_open'), wanted);
  const open = await served.heap();
  for (let at = 0; at < streams.length; at += 97) await echoes(streams[at] ?? assert.fail());
  for (let at = 0; at < overHttp1.length; at += 97) {
    const tunnel = overHttp1[at] ?? assert.fail();
    tunnel.write('still here');
    assert.equal(await tunnel.bytes(10), 'still here');
  }
  for (const tunnel of overHttp1) tunnel.socket.destroy();
  for (const session of sessions) session.destroy();
  const closed = await served.heapAtRest();
  t.diagnostic(`${wanted} open: ${JSON.stringify({ atRest, open, closed })}`);
  assert.ok((open.rss - atRest.rss) / wanted < 100_000, `${open.rss} bytes with ${wanted} open`);
  assert.equal(await served.metric('zonegate_tunnels_open'), 0);
});

test('a device that reads nothing stops its origin, and costs the gateway no memory (R07, M14)', async (t) => {
  await using served = await serve();
  const filled = Promise.withResolvers<net.Socket>();
  const block = Buffer.alloc(262_144, 'x');
  await using origin = await startServer((socket) => {
    const more = (): void => {
      while (socket.write(block));
      filled.resolve(socket);
    };
    socket.on('drain', more);
    more();
  });
  const before = await served.heap();
  const deaf = await connect(served, to(origin));
  deaf.socket.pause();
  const socket = await within(filled.promise, 'an origin that writes');
  // It has stopped when nothing more has gone out between two looks at the gateway, which work all through its loop.
  let bytes = -1;
  let heap = before;
  while (bytes !== socket.bytesWritten) {
    bytes = socket.bytesWritten;
    for (let looks = 0; looks < 5; looks += 1) heap = await served.heap();
  }
  assert.ok(socket.writableLength > 0, 'the origin has to wait');
  const grown = grownBy(before, heap);
  t.diagnostic(`${grown} bytes for a device that reads nothing of ${bytes}`);
  assert.ok(grown < 2_000_000, `${grown} bytes more`);
  deaf.socket.destroy();
});
