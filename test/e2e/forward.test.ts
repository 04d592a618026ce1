// Plain-HTTP requests carried to their origin: what the origin sees, what the device gets back, each judged by itself.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { within } from '../support/client.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { egressAddress } from '../support/gateway-folder.ts';
import {
  type HttpServer,
  type Seen,
  startHttp,
  startScripted,
  startSilent,
} from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
let origin: HttpServer;

before(async () => {
  gateway = stack.use(
    await startGateway({
      rules: [{ id: 'forbidden', action: 'BLOCK', destinations: ['.forbidden.test'] }],
    }),
  );
  origin = stack.use(await startHttp());
});
after(() => stack.disposeAsync());

const good = () => gateway.device('good');
const to = ({ port }: { readonly port: number }) => `up.lab.test:${port}`;
const asText = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly from?: { readonly port: number };
}

function message({ method = 'GET', path = '/', fields = {}, body = '', from = origin }: Asked) {
  const head = `${method} http://${to(from)}${path} HTTP/1.1\r\n${asText({ Host: to(from), ...fields })}`;
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
  return `${head}${length}\r\n${body}`;
}

/** One request on a connection of its own, and what the origin saw of it. */
async function send(asked: Asked = {}) {
  const wire = await gateway.open(good());
  wire.write(message(asked));
  const answer = await wire.answer(asked.method);
  wire.socket.destroy();
  return { answer, seen: origin.seen.at(-1) };
}

const valuesOf = (seen: Seen | undefined, name: string) =>
  seen?.fields.filter(([one]) => one === name).map(([, value]) => value);

test('GET reaches the origin in origin-form, from the egress address, and its answer comes back', async () => {
  const { answer, seen } = await send({ path: '/a/b?c=d%20e' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, 'origin');
  assert.equal(seen?.method, 'GET');
  assert.equal(seen?.url, '/a/b?c=d%20e');
  assert.equal(seen?.from, egressAddress);
});

test('POST carries its body, with a length and chunked', async () => {
  const { answer, seen } = await send({ method: 'POST', body: 'name=value' });
  assert.equal(answer.status, 200);
  assert.equal(seen?.body, 'name=value');
  const chunked = await gateway.open(good());
  chunked.write(
    `POST http://${to(origin)}/ HTTP/1.1\r\nHost: ${to(origin)}\r\nTransfer-Encoding: chunked\r\n\r\n` +
      '4\r\nname\r\n6;ext=1\r\n=value\r\n0\r\nHost: elsewhere.test\r\n\r\n',
  );
  assert.equal((await chunked.answer()).status, 200);
  assert.equal(origin.seen.at(-1)?.body, 'name=value');
  // A trailer never becomes a field (H27).
  assert.deepEqual(valuesOf(origin.seen.at(-1), 'host'), [to(origin)]);
  chunked.socket.destroy();
});

test('HEAD has the fields of an answer and no body, and the next request an answer of its own', async () => {
  const wire = await gateway.open(good());
  wire.write(message({ method: 'HEAD' }) + message({}));
  assert.equal((await wire.answer('HEAD')).status, 200);
  assert.equal((await wire.answer()).body, 'origin');
  wire.socket.destroy();
});

test('the target decides the Host that the origin sees, whatever the device wrote (H08)', async () => {
  const { seen } = await send({ fields: { Host: 'elsewhere.test' } });
  assert.deepEqual(valuesOf(seen, 'host'), [to(origin)]);
});

test('Via names the gateway in both directions, after those before it', async () => {
  const { answer, seen } = await send({ fields: { Via: '1.0 relay' } });
  assert.deepEqual(valuesOf(seen, 'via'), ['1.0 relay, 1.1 gw']);
  assert.equal(answer.fields.get('via'), '1.1 gw');
});

test('hop-by-hop fields and those that Connection names end here (H18)', async () => {
  const fields = {
    Connection: 'X-Named, keep-alive, Host, Content-Length',
    'X-Named': 'here only',
    'Keep-Alive': 'timeout=5',
    'Proxy-Connection': 'keep-alive',
    'Proxy-Authorization': 'Basic c2VjcmV0',
    TE: 'trailers',
    'X-Kept': 'goes on',
  };
  const { seen } = await send({ method: 'POST', fields, body: 'name=value' });
  for (const name of ['x-named', 'keep-alive', 'proxy-connection', 'proxy-authorization']) {
    assert.deepEqual(valuesOf(seen, name), [], name);
  }
  // The next hop is asked for trailers by this one.
  assert.deepEqual(valuesOf(seen, 'connection'), ['te']);
  assert.deepEqual(valuesOf(seen, 'x-kept'), ['goes on']);
  // Naming them takes away neither the Host nor the framing.
  assert.deepEqual(valuesOf(seen, 'host'), [to(origin)]);
  assert.equal(seen?.body, 'name=value');
});

test('what a device claims about itself or its way is not passed on (H29)', async () => {
  const claims = {
    'X-Forwarded-For': '127.0.0.1',
    'X-Forwarded-Proto': 'https',
    'X-Real-IP': '127.0.0.1',
    Forwarded: 'for=127.0.0.1',
    'Client-Cert': ':MIIB:',
  };
  const { seen } = await send({ fields: claims });
  for (const name of Object.keys(claims)) {
    assert.deepEqual(valuesOf(seen, name.toLowerCase()), [], name);
  }
});

test('hop-by-hop fields of the answer end here too', async () => {
  await using odd = await startScripted(
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Named\r\nX-Named: here only\r\n' +
      'Proxy-Authenticate: Basic\r\nX-Kept: goes on\r\n\r\nok',
  );
  const { answer } = await send({ from: odd });
  assert.equal(answer.body, 'ok');
  assert.equal(answer.fields.has('x-named'), false);
  assert.equal(answer.fields.has('proxy-authenticate'), false);
  assert.equal(answer.fields.get('x-kept'), 'goes on');
});

test('a redirect is passed on, not followed (H25)', async () => {
  await using moved = await startScripted(
    'HTTP/1.1 302 Found\r\nLocation: http://www.forbidden.test/\r\nContent-Length: 0\r\n\r\n',
  );
  const { answer } = await send({ from: moved });
  assert.equal(answer.status, 302);
  assert.equal(answer.fields.get('location'), 'http://www.forbidden.test/');
});

test('kept-alive requests are judged one by one (H13)', async () => {
  const wire = await gateway.open(good());
  for (const path of ['/one', '/two']) {
    wire.write(message({ path }));
    assert.equal((await wire.answer()).status, 200);
  }
  wire.write('GET http://www.forbidden.test/ HTTP/1.1\r\nHost: up.lab.test\r\n\r\n');
  const refused = await wire.answer();
  assert.equal(refused.status, 403);
  assert.equal(refused.fields.get('proxy-status')?.includes('rules.block'), true);
  assert.equal(await wire.rest(), '');
  wire.end();
  await wire.closed();
});

test('posture lost between two requests of one connection refuses the second (P02)', async () => {
  await using own = await startGateway({ posture: 'uem' });
  const device = own.device('good');
  const wire = await own.open(device);
  wire.write(message({}));
  assert.equal((await wire.answer()).status, 200);
  await own.uem.setDevice(device.udid, { compliance: 'NonCompliant' });
  await own.gateway.posture.refresh(device.udid);
  wire.write(message({}));
  const refused = await wire.answer();
  assert.equal(refused.status, 403);
  assert.match(refused.body, /posture\.non_compliant/);
});

test('pipelined requests are answered in order (H28)', async () => {
  await using echoing = await startHttp((request, response) => void response.end(request.url));
  const wire = await gateway.open(good());
  const paths = ['/1', '/2', '/3'];
  wire.write(paths.map((path) => message({ path, from: echoing })).join(''));
  for (const path of paths) assert.equal((await wire.answer()).body, path);
  wire.socket.destroy();
});

test('an origin that closes after each answer serves the next request too', async () => {
  await using closing = await startHttp((_, response) => {
    response.writeHead(200, { connection: 'close' }).end('bye');
  });
  const wire = await gateway.open(good());
  wire.write(message({ from: closing }).repeat(3));
  for (let i = 0; i < 3; i += 1) assert.equal((await wire.answer()).body, 'bye');
  assert.equal(closing.connections(), 3);
  wire.socket.destroy();
});

test('a connection to an origin is kept for its device connection, and for no other (H24, S08)', async () => {
  await using own = await startHttp();
  const ask = async (wire: Awaited<ReturnType<RunningGateway['open']>>) => {
    wire.write(message({ from: own }));
    assert.equal((await wire.answer()).status, 200);
  };
  const one = await gateway.open(good());
  await ask(one);
  await ask(one);
  assert.equal(own.connections(), 1);
  const second = await gateway.open(good());
  await ask(second);
  assert.equal(own.connections(), 2);
  const other = await gateway.open(gateway.device('other'));
  await ask(other);
  assert.equal(own.connections(), 3);
  for (const { socket } of [one, second, other]) socket.destroy();
});

test('an answer that breaks off in its body breaks off for the device too (H23)', async () => {
  await using dying = await startScripted(
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this',
    (socket) => socket.destroy(),
  );
  const wire = await gateway.open(good());
  wire.write(message({ from: dying }));
  const begun = await wire.head();
  assert.equal(begun.fields.get('content-length'), '100');
  assert.equal(await wire.rest(), 'only this');
  await gateway.line((line) => line['zonegate.reason'] === 'origin.incomplete', 'what broke off');
});

test('a chunked answer that breaks off never looks complete (H23)', async () => {
  await using dying = await startScripted(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n',
    (socket) => socket.destroy(),
  );
  const wire = await gateway.open(good());
  wire.write(message({ from: dying }));
  await wire.head();
  assert.equal((await wire.rest()).includes('\r\n0\r\n'), false);
});

const badAnswers = {
  'both framings':
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
  'NUL in a field': 'HTTP/1.1 200 OK\r\nX-A: o\0ne\r\nContent-Length: 0\r\n\r\n',
  'a bare CR in a field': 'HTTP/1.1 200 OK\r\nX-A: one\rX-B: two\r\nContent-Length: 0\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a head without end': `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`,
  'a protocol nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n',
};

for (const [what, bytes] of Object.entries(badAnswers)) {
  test(`an origin that answers with ${what} is 502 to the device (H22)`, async () => {
    await using bad = await startScripted(bytes);
    const { answer } = await send({ from: bad });
    assert.equal(answer.status, 502);
    assert.match(answer.body, /"reason":"origin\./);
  });
}

test('a device that leaves in the middle of an answer leaves nothing open at the origin (R06)', async () => {
  await using slow = await startSilent();
  const wire = await gateway.open(good());
  wire.write(message({ from: slow }));
  const socket = await slow.accepted();
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin');
  await wire.head();
  const gone = new Promise((resolve) => {
    socket.once('close', resolve).once('end', resolve);
  });
  socket.resume();
  wire.vanish();
  await within(gone, 'the end at the origin');
});
