// A CONNECT head read here means what Node's parser makes of it, and whatever is not one is that parser's.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createFirstWords } from '../../../gateway/edge/first-words.ts';
import { connectDevice, type Edge, eventually, runEdge, runOrigin } from './running-edge.ts';

const target = '127.0.0.1:443';
const lines = (...text: string[]): string => `${text.join('\r\n')}\r\n\r\n`;
const line = `CONNECT ${target} HTTP/1.1`;
const host = `Host: ${target}`;

/** Read without a parser; what follows is the tunnel's. */
const taken: readonly (readonly [string, string])[] = [
  ['the least', lines(line, host)],
  ['what browsers send', lines(line, host, 'Proxy-Connection: keep-alive', 'User-Agent: A (b; c)')],
  ['no value', lines(line, host, 'X-Empty:', 'X-Blank:   ')],
  ['space around a value', lines(line, 'Host: \t 127.0.0.1:443 \t')],
  ['no Host', line.concat('\r\n\r\n')],
  ['two Hosts', lines(line, host, host)],
  ['a target that is none', lines('CONNECT http://a.test/ HTTP/1.1', host)],
];

/** One doubt, and it is the parser's. */
const left: readonly (readonly [string, string])[] = [
  ['a GET', lines('GET http://127.0.0.1/ HTTP/1.1', 'Host: 127.0.0.1')],
  ['another version', lines(`CONNECT ${target} HTTP/1.0`, host)],
  ['a version that is none', lines(`CONNECT ${target} HTTP/1.10`, host)],
  ['a method in lower case', lines(`connect ${target} HTTP/1.1`, host)],
  ['two spaces', lines(`CONNECT  ${target} HTTP/1.1`, host)],
  ['a tab', lines(`CONNECT\t${target} HTTP/1.1`, host)],
  ['an empty line before', `\r\n${lines(line, host)}`],
  ['a bare LF', `${line}\n${host}\r\n\r\n`],
  ['a bare CR', lines(line, `${host}\rX: y`)],
  ['a NUL', lines(line, host, 'X: a\0b')],
  ['a byte beyond ASCII', lines(line, host, 'X: \u00e9')],
  ['a folded line', lines(line, host, 'X: a', ' b')],
  ['space before a colon', lines(line, `Host : ${target}`)],
  ['no colon', lines(line, host, 'X')],
  ['no name', lines(line, host, ': x')],
  ['a length', lines(line, host, 'Content-Length: 5')],
  ['a length of nothing', lines(line, host, 'content-length: 0')],
  ['a coding', lines(line, host, 'Transfer-Encoding: chunked')],
  ['an expectation', lines(line, host, 'Expect: 100-continue')],
  ['an upgrade', lines(line, host, 'Connection: upgrade', 'Upgrade: websocket')],
  ['very many fields', lines(line, host, ...Array.from({ length: 64 }, (_, i) => `X-${i}: y`))],
  ['a long head', lines(line, host, `X: ${'y'.repeat(5000)}`)],
];

interface Heard {
  readonly client: net.Socket;
  readonly socket: TLSSocket;
}

/** A connection whose first words are heard; TLS plays no part in it. */
async function pair(t: TestContext): Promise<Heard> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { client, socket: socket as TLSSocket };
}

function hearing(patienceMs = 60_000) {
  const heard: string[] = [];
  const words = createFirstWords({
    patienceMs,
    connect: ({ url }, _, early) => void heard.push(`connect ${url} ${early.toString('latin1')}`),
    leave(socket) {
      heard.push('left');
      socket.on('data', (chunk: Buffer) => void heard.push(chunk.toString('latin1')));
    },
  });
  return { heard, words };
}

for (const [what, head] of taken) {
  test(`a CONNECT head in one piece is read here: ${what}`, async (t) => {
    const { client, socket } = await pair(t);
    const { heard, words } = hearing();
    words.hear(socket);
    client.write(`${head}early`, 'latin1');
    await eventually(() => heard.length > 0, 'it was heard');
    assert.match(heard.join(), /^connect \S+ early$/);
  });
}

for (const [what, head] of left) {
  test(`the HTTP server gets every byte of anything else: ${what}`, async (t) => {
    const { client, socket } = await pair(t);
    const { heard, words } = hearing();
    words.hear(socket);
    client.end(head, 'latin1');
    await once(socket, 'end');
    assert.equal(heard[0], 'left');
    assert.equal(heard.slice(1).join(''), head);
  });
}

test('the HTTP server gets a head in two pieces from its first byte', async (t) => {
  const { client, socket } = await pair(t);
  const { heard, words } = hearing();
  words.hear(socket);
  client.write('CONN');
  await eventually(() => heard.length === 2, 'the first piece');
  client.end('ECT');
  await once(socket, 'end');
  assert.deepEqual(heard, ['left', 'CONN', 'ECT']);
});

test('a connection that says nothing becomes the HTTP server’s, and its time-outs hold (R04)', async (t) => {
  const { heard, words } = hearing(5);
  const { socket } = await pair(t);
  words.hear(socket);
  await eventually(() => heard.length > 0, 'it was left');
  assert.deepEqual(heard, ['left']);
});

test('all that have said nothing are left at once, and none twice', async (t) => {
  const { heard, words } = hearing();
  for (const { socket } of [await pair(t), await pair(t)]) words.hear(socket);
  words.leaveAll();
  words.leaveAll();
  assert.deepEqual(heard, ['left', 'left']);
});

test('a device that leaves without a word is let go (R06)', async (t) => {
  const { heard, words } = hearing();
  const { client, socket } = await pair(t);
  words.hear(socket);
  client.end();
  await once(socket, 'close');
  words.leaveAll();
  assert.deepEqual(heard, []);
});

/** Its status, reason, and what the tunnel carries; ids and ports aside. */
async function answerTo(t: TestContext, edge: Edge, pieces: readonly string[]): Promise<string> {
  const client = await connectDevice(t, edge);
  for (const piece of pieces) client.write(Buffer.from(piece, 'latin1'));
  const text = await client.until((said) => said.includes('"reason"') || said.includes('early'));
  client.socket.destroy();
  return text.replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, 'ID');
}

test('a head gets the same answer from both readers (H00, H02, H09, H11)', async (t) => {
  const edge = await runEdge(t);
  const origin = await runOrigin(t, ({ socket }) => void socket.pipe(socket));
  for (const [what, head] of taken) {
    const asked = `${head.replaceAll('443', String(origin.port))}early`;
    const whole = await answerTo(t, edge, [asked]);
    assert.equal(whole, await answerTo(t, edge, [asked.slice(0, 5), asked.slice(5)]), what);
  }
});
