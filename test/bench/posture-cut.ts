// From an event of the UEM to the last byte of ten thousand tunnels, and how many changes a second are absorbed while
// serving. Prints one line of JSON. Clients, origin and UEM run in this process too: the figures are upper bounds. Each
// tunnel needs two file descriptors.

import { once } from 'node:events';
import http2 from 'node:http2';
import { startGateway } from '../support/gateway.ts';
import { startEcho } from '../support/upstream.ts';

const tunnels = Number(process.argv[2] ?? 9_500);
const changes = Number(process.argv[3] ?? 2_000);
const senders = Number(process.argv[4] ?? 200);
const perConnection = 100;
const changing = 200;

await using echo = await startEcho();
const devices = Object.fromEntries(Array.from({ length: changing }, (_, i) => [`device${i}`, {}]));
const most = 2 * tunnels;
await using gateway = await startGateway({
  posture: 'uem',
  devices,
  settings: {
    log: { level: 'warn' },
    limits: {
      tunnels: most,
      tunnelsPerDevice: most,
      connectionsPerDevice: most,
      newTunnelsPerDevice: most,
    },
  },
});
const good = gateway.device('good');
const authority = `up.lab.test:${echo.port}`;

async function connect(): Promise<http2.ClientHttp2Session> {
  const { port, ca } = gateway.tls(good);
  const session = http2.connect(`https://localhost:${port}`, {
    ca,
    cert: good.cert,
    key: good.key,
  });
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

async function open(session: http2.ClientHttp2Session): Promise<http2.ClientHttp2Stream> {
  const stream = session.request(
    { ':method': 'CONNECT', ':authority': authority },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  const [fields] = (await once(stream, 'response')) as [{ ':status'?: number }];
  if (fields[':status'] !== 200) throw new Error(`answered ${fields[':status']}`);
  stream.resume();
  return stream;
}

/** However it came about. */
function closing(stream: http2.ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => void stream.once('close', resolve));
}

const sessions: http2.ClientHttp2Session[] = [];
const streams: http2.ClientHttp2Stream[] = [];
while (streams.length < tunnels) {
  const session = await connect();
  sessions.push(session);
  streams.push(...(await Promise.all(Array.from({ length: perConnection }, () => open(session)))));
}

/** Compliance of devices that nothing is open for flips; each change is an event, and a question to the UEM. */
async function absorb() {
  for (let i = 0; i < changing; i += 1) {
    await gateway.gateway.posture.facts(gateway.device(`device${i}`).udid);
  }
  const began = performance.now();
  const cpu = process.cpuUsage();
  let slowestMs = 0;
  let running = true;
  const serving = (async () => {
    const [session] = sessions;
    while (running && session !== undefined) {
      const asked = performance.now();
      // A place of its connection is free while one is measured.
      const stream = await open(session);
      slowestMs = Math.max(slowestMs, performance.now() - asked);
      stream.end();
      await closing(stream);
    }
  })();
  const queue = Array.from({ length: changes }, (_, i) => i).values();
  const sender = async (): Promise<void> => {
    for (const i of queue) {
      const compliance = Math.floor(i / changing) % 2 === 0 ? 'NonCompliant' : 'Compliant';
      await gateway.uem.setDevice(gateway.device(`device${i % changing}`).udid, { compliance });
    }
  };
  await Promise.all(Array.from({ length: senders }, sender));
  const perSecond = changes / ((performance.now() - began) / 1000);
  running = false;
  await serving;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond, slowestMs, cpuMs: (user + system) / 1000 / changes };
}

streams.shift()?.end();
const absorbed = await absorb();

const closed = Promise.all(streams.map(closing));
const cpu = process.cpuUsage();
const began = performance.now();
await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
await closed;
const cutMs = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
for (const session of sessions) session.destroy();

const rounded = (value: number): number => Math.round(value * 10) / 10;
console.log(
  JSON.stringify({
    tunnels: streams.length,
    cut_ms: rounded(cutMs),
    cut_cpu_ms: rounded((user + system) / 1000),
    changes,
    change_cpu_ms: rounded(absorbed.cpuMs),
    changes_per_s: rounded(absorbed.perSecond),
    slowest_tunnel_meanwhile_ms: rounded(absorbed.slowestMs),
  }),
);
process.exit(0);
