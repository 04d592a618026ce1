// Which application a request belongs to: heard at the one believed place, over both versions of HTTP, and kept from origins.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { type TestContext, test } from 'node:test';
import type { AppSource } from '../../../gateway/decision/identity.ts';
import { appField, hearApp } from '../../../gateway/edge/app.ts';
import {
  authority,
  connectDevice,
  device,
  type Edge,
  type EdgeOptions,
  runAnswering,
  runEdge,
  runOrigin,
  send,
  statusOf,
} from './running-edge.ts';

const header: AppSource = { from: 'header', name: 'x-app' };
const listener: AppSource = { from: 'listener' };
const field: AppSource = { from: 'subject', type: 'OU', pattern: '*' };
const heard = (
  source: AppSource | null,
  fields: readonly string[] = [],
  own: string | null = null,
) => hearApp(source, fields, own).app;

test('only the place that is believed says which application it is', () => {
  const said = ['X-App', 'com.example.mail'];
  assert.equal(heard(header, said, 'other'), 'com.example.mail');
  assert.equal(heard(listener, said, 'other'), 'other');
  assert.equal(heard(listener, said), null);
  for (const source of [null, field]) assert.equal(heard(source, said, 'other'), null);
  assert.deepEqual([header, listener, field, null].map(appField), ['x-app', null, null, null]);
});

test('a field said twice, not at all or with odd characters says nothing', () => {
  assert.equal(heard(header, ['x-app', 'a', 'X-App', 'a']), null);
  assert.equal(heard(header, ['X-Other', 'a']), null);
  for (const value of ['', ' a', 'a ', 'caf\u00e9', 'a\tb', 'a'.repeat(256)]) {
    assert.equal(heard(header, ['X-App', value]), null, value);
  }
  assert.equal(heard(header, ['X-App', 'C:\\Program Files\\a.exe']), 'C:\\Program Files\\a.exe');
});

async function withOrigin(t: TestContext, options: EdgeOptions) {
  const origin = await runAnswering(
    t,
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    '127.0.0.4',
  );
  return { origin, edge: await runEdge(t, options) };
}

function openSession(t: TestContext, edge: Edge): http2.ClientHttp2Session {
  const session = http2.connect(`https://localhost:${edge.port}`, {
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
  });
  t.after(() => session.destroy());
  return session;
}

/** Status of each way to ask for the origin of the mail application: tunnel and plain request, HTTP/1.1 and HTTP/2. */
async function everyWay(t: TestContext, edge: Edge, port: number, fields: Record<string, string>) {
  const authorityText = `127.0.0.4:${port}`;
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1\r\nHost: ${authorityText}\r\nConnection: close\r\n${lines.join('')}\r\n`;
  const session = openSession(t, edge);
  const asked = async (pseudo: Record<string, string>) => {
    const stream = session.request({ ...pseudo, ...fields });
    stream.on('error', () => undefined);
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    stream.close();
    return answer[':status'];
  };
  const client = await connectDevice(t, edge);
  client.write(`CONNECT ${authorityText} ${head}`);
  const answer = await client.until(/\r\n\r\n/);
  client.socket.destroy();
  const statuses = [
    statusOf(answer),
    statusOf(await send(t, edge, `GET http://${authorityText}/ ${head}`)),
    await asked({ ':method': 'CONNECT', ':authority': authorityText }),
    await asked({ ':method': 'GET', ':scheme': 'http', ':authority': authorityText, ':path': '/' }),
  ];
  session.destroy();
  return statuses;
}

test('a believed header field opens the rules of its application, and never reaches the origin', async (t) => {
  const { edge, origin } = await withOrigin(t, { appSource: header });
  const mail = { 'x-app': 'com.example.mail' };
  assert.deepEqual(await everyWay(t, edge, origin.port, mail), [200, 200, 200, 200]);
  const admitted = edge.lines.filter((line) => line['zonegate.action'] === 'tunnel');
  assert.deepEqual(
    [...new Set(admitted.map((line) => line['zonegate.app']))],
    ['com.example.mail'],
  );
  assert.ok(origin.requests.length >= 2);
  for (const request of origin.requests) assert.doesNotMatch(request, /x-app/i);
});

test('a believed header field does not reach the origin as a trailer either, in either version of HTTP', async (t) => {
  let text = (): string => '';
  const origin = await runOrigin(
    t,
    (client) => {
      text = client.text;
      client.until(/\r\n0\r\n.*\r\n\r\n$/s).then(
        () => client.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
        () => undefined,
      );
    },
    '127.0.0.4',
  );
  const edge = await runEdge(t, { appSource: header });
  const to = `127.0.0.4:${origin.port}`;
  const fields = 'X-App: com.example.mail\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n';
  const body = '2\r\nhi\r\n0\r\nX-App: com.example.mail\r\nX-Sum: 1\r\n\r\n';
  const head = `POST http://${to}/ HTTP/1.1\r\nHost: ${to}\r\n${fields}Trailer: X-App\r\n\r\n`;
  assert.equal(statusOf(await send(t, edge, head + body)), 200);
  assert.match(text(), /x-sum: 1/i);
  assert.doesNotMatch(text(), /x-app/i);

  const session = openSession(t, edge);
  const stream = session.request(
    {
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': to,
      ':path': '/',
      'x-app': 'com.example.mail',
      trailer: 'x-app',
    },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'x-app': 'com.example.mail', 'x-sum': '2' }),
  );
  stream.end('hi');
  await once(stream, 'response');
  assert.match(text(), /x-sum: 2/i);
  assert.doesNotMatch(text(), /x-app/i);
  session.destroy();
});

test('another application, an unknown one, and a field nobody believes open nothing', async (t) => {
  const { edge, origin } = await withOrigin(t, { appSource: header });
  const refused = [403, 403, 403, 403];
  assert.deepEqual(await everyWay(t, edge, origin.port, { 'x-app': 'com.example.game' }), refused);
  assert.deepEqual(await everyWay(t, edge, origin.port, {}), refused);
  const unbelieving = await runEdge(t);
  const mail = { 'x-app': 'com.example.mail' };
  assert.deepEqual(await everyWay(t, unbelieving, origin.port, mail), refused);
  assert.equal(origin.requests.length, 0);
});

test('a listener of its own opens the rules of its application, whatever a field says', async (t) => {
  const { edge, origin } = await withOrigin(t, { appSource: listener, app: 'mail' });
  const fields = { 'x-app': 'com.example.game' };
  assert.deepEqual(await everyWay(t, edge, origin.port, fields), [200, 200, 200, 200]);
  const elsewhere = await runEdge(t, { appSource: listener });
  assert.deepEqual(await everyWay(t, elsewhere, origin.port, fields), [403, 403, 403, 403]);
});

test('a tunnel shows its application among the open ones', async (t) => {
  const origin = await runOrigin(t, () => undefined, '127.0.0.4');
  const edge = await runEdge(t, { appSource: listener, app: 'mail' });
  const client = await connectDevice(t, edge);
  client.write(`CONNECT 127.0.0.4:${origin.port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until(/200/);
  assert.deepEqual(
    edge.tunnels.list().map(({ standing }) => standing.heard.app),
    ['mail'],
  );
});
