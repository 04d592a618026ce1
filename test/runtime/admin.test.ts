// The admin server as somebody on the network meets it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type Admin, type AdminOptions, createAdmin, problem } from '../../runtime/admin.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { createReadiness } from '../../runtime/readiness.ts';

const TOKEN = 'Correct-Horse-1';
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function start(context: TestContext, options: Partial<AdminOptions> = {}): Promise<Admin> {
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: ['Some-Other-Token', TOKEN],
    metrics: createMetrics(),
    readiness: createReadiness(),
    log: createLog({ level: 'silent', secrets: [] }),
    routes(app) {
      app.get('/tunnels', (c) => c.json({ items: [] }));
      app.post('/echo', async (c) => c.text(await c.req.text()));
      app.get('/broken', () => {
        throw new Error('the database is at /var/secret');
      });
    },
    webhooks(app) {
      app.post('/uem', async (c) => c.text(`${(await c.req.text()).length} bytes`));
    },
    ...options,
  });
  context.after(() => admin.close());
  return admin;
}

async function ask(
  admin: Admin,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; agent?: Agent } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, agent = new Agent() } = options;
  const sent = request({ host: '127.0.0.1', port: admin.port, path, method, headers, agent });
  sent.end(body);
  const [answer] = await once(sent, 'response');
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
}

test('health needs no credentials and tells nothing else', async (context) => {
  const answer = await ask(await start(context), '/healthz');
  assert.equal(answer.status, 200);
  assert.equal(answer.body, '{"status":"ok"}');
});

test('readiness follows the checks and shows each', async (context) => {
  const readiness = createReadiness();
  const admin = await start(context, { readiness });
  readiness.set('rules', 'dtr.yaml has an error');
  const before = await ask(admin, '/readyz');
  assert.equal(before.status, 503);
  const checks = { rules: 'dtr.yaml has an error' };
  assert.deepEqual(JSON.parse(before.body), { status: 'not ready', checks });
  readiness.set('rules', 'ok');
  assert.equal((await ask(admin, '/readyz')).status, 200);
});

test('metrics are served in their own format', async (context) => {
  const answer = await ask(await start(context), '/metrics');
  assert.match(String(answer.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(answer.body, /^zonegate_build_info\{/m);
});

test('the API opens for the exact token in the Authorization field only', async (context) => {
  const admin = await start(context);
  const status = async (headers: Record<string, string>, path = '/api/v1/tunnels') =>
    (await ask(admin, path, { headers })).status;
  assert.equal(await status(AUTHORIZED), 200);
  assert.equal(await status({ authorization: `bearer ${TOKEN}` }), 200);
  const refused: Record<string, string>[] = [
    {},
    { authorization: 'Bearer' },
    { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    { authorization: `Bearer ${TOKEN.toLowerCase()}` },
    { authorization: `Bearer ${TOKEN} x` },
    { authorization: TOKEN },
    { authorization: `Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}` },
    { cookie: `token=${TOKEN}; authorization=Bearer ${TOKEN}` },
    { 'x-api-key': TOKEN },
  ];
  for (const headers of refused) assert.equal(await status(headers), 401, JSON.stringify(headers));
  assert.equal(await status({}, `/api/v1/tunnels?token=${TOKEN}&access_token=${TOKEN}`), 401);
});

test('no spelling of a path gets around the token', async (context) => {
  const admin = await start(context);
  const paths = [
    '/api/v1',
    '/api/v1/',
    '//api/v1/tunnels',
    '/API/v1/tunnels',
    '/api/v1//tunnels',
    '/api/v1/tunnels/',
    '/api/v1/%2e%2e/v1/tunnels',
    '/healthz/../api/v1/tunnels',
    '/%61pi/v1/tunnels',
    '/api%2fv1%2ftunnels',
    '/api/v1/tunnels%00',
    '/api\\v1\\tunnels',
    '/webhooks/../api/v1/tunnels',
    '/api/v1/tunnels;x',
  ];
  for (const path of paths) {
    const { status, body } = await ask(admin, path);
    assert.ok([400, 401, 404].includes(status), `${path}: ${status}`);
    assert.doesNotMatch(body, /items/);
  }
});

test('a refused request says how to authenticate', async (context) => {
  const answer = await ask(await start(context), '/api/v1/tunnels');
  assert.match(String(answer.headers['www-authenticate']), /^Bearer /);
});

test('without a configured token the API is closed, whatever is sent', async (context) => {
  const admin = await start(context, { tokens: [] });
  for (const headers of [{}, AUTHORIZED, { authorization: 'Bearer ' }]) {
    const answer = await ask(admin, '/api/v1/tunnels', { headers });
    assert.equal(answer.status, 403);
    assert.equal(JSON.parse(answer.body).detail, 'no admin token configured');
  }
});

test('only addresses, localhost and declared names are accepted as the host', async (context) => {
  const admin = await start(context, { hosts: ['Admin.example.com'] });
  const status = async (host: string) =>
    (await ask(admin, '/healthz', { headers: { host } })).status;
  const accepted = ['127.0.0.1', '10.1.2.3:8446', '[::1]:8446', 'localhost:1', 'admin.example.com'];
  for (const host of accepted) assert.equal(await status(host), 200, host);
  const refused = [
    'evil.example',
    'localhost.evil.example',
    'admin.example.com.evil.example',
    '127.0.0.1.nip.example',
  ];
  for (const host of refused) assert.equal(await status(host), 421, host);
});

test('a request from a page of another origin is refused, one of our own is not', async (context) => {
  const admin = await start(context);
  const own = `http://127.0.0.1:${admin.port}`;
  const status = async (origin: string) =>
    (await ask(admin, '/api/v1/tunnels', { headers: { ...AUTHORIZED, origin } })).status;
  assert.equal(await status(own), 200);
  for (const origin of [
    'http://evil.example',
    'null',
    'http://127.0.0.1:1',
    `${own}.evil.example`,
  ]) {
    assert.equal(await status(origin), 403, origin);
  }
});

test('no answer grants anything to another origin, is kept, or is guessed to be a page', async (context) => {
  const admin = await start(context);
  for (const path of ['/healthz', '/metrics', '/nothing', '/api/v1/tunnels']) {
    const { headers } = await ask(admin, path);
    assert.equal(headers['access-control-allow-origin'], undefined);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.match(String(headers['content-security-policy']), /default-src 'none'/);
  }
});

test('an unknown path is a problem that carries the id of its request', async (context) => {
  const answer = await ask(await start(context), '/nothing', {
    headers: { 'x-request-id': 'mine' },
  });
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  const { instance, ...rest } = JSON.parse(answer.body);
  assert.deepEqual(rest, {
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: 'there is nothing at this path',
  });
  assert.equal(instance, answer.headers['x-request-id']);
  assert.notEqual(instance, 'mine');
});

test('a failing route answers without its cause, and the log has it', async (context) => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const admin = await start(context, { log: createLog({ level: 'info', secrets: [], stream }) });
  const answer = await ask(admin, '/api/v1/broken', { headers: AUTHORIZED });
  assert.equal(answer.status, 500);
  assert.doesNotMatch(answer.body, /database/);
  assert.match(lines.join(''), /the database is at/);
  assert.equal(JSON.parse(lines[0] ?? '').request_id, answer.headers['x-request-id']);
});

test('other methods, and headers that ask for them, change nothing', async (context) => {
  const admin = await start(context);
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const answer = await ask(admin, '/api/v1/tunnels', { method, headers: AUTHORIZED });
    assert.ok([400, 404, 405, 501].includes(answer.status), `${method}: ${answer.status}`);
  }
  const headers = { ...AUTHORIZED, 'x-http-method-override': 'POST' };
  assert.equal((await ask(admin, '/api/v1/echo', { headers })).status, 404);
});

test('a body is limited to 64 KiB, declared or not, on webhooks and the API', async (context) => {
  const admin = await start(context);
  const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
  const chunked = { ...headers, 'transfer-encoding': 'chunked' };
  const fits = 'x'.repeat(64 * 1024);
  for (const path of ['/webhooks/uem', '/api/v1/echo']) {
    const declared = await ask(admin, path, { method: 'POST', headers, body: `${fits}x` });
    assert.equal(declared.status, 413, path);
    const undeclared = await ask(admin, path, {
      method: 'POST',
      headers: chunked,
      body: `${fits}x`,
    });
    assert.equal(undeclared.status, 413, path);
  }
  const answer = await ask(admin, '/webhooks/uem', { method: 'POST', headers, body: fits });
  assert.equal(answer.body, '65536 bytes');
  const whole = await ask(admin, '/webhooks/uem', { method: 'POST', headers: chunked, body: fits });
  assert.equal(whole.body, '65536 bytes');
});

test('webhooks are outside the token and bring their own credentials', async (context) => {
  const admin = await start(context);
  const answer = await ask(admin, '/webhooks/uem', { method: 'POST', body: 'abc' });
  assert.equal(answer.status, 200);
  assert.equal((await ask(admin, '/webhooks/other', { method: 'POST' })).status, 404);
});

test('a problem can point at what is wrong in the body', async () => {
  const errors = [{ detail: 'expected text', pointer: '/rules/0/id' }];
  const answer = problem(422, 'Unprocessable Content', 'the rules have an issue', errors);
  assert.equal(answer.status, 422);
  assert.deepEqual(JSON.parse(await answer.text()).errors, errors);
});

test('a busy port is an error with its code', async (context) => {
  const admin = await start(context);
  const listen = { host: '127.0.0.1', port: admin.port };
  await assert.rejects(start(context, { listen }), { code: 'EADDRINUSE' });
});

test('garbage instead of HTTP is answered or cut, and hurts nobody else', async (context) => {
  const admin = await start(context);
  for (const garbage of [
    '\x16\x03\x01\x02\x00',
    'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    'GET http://[/ HTTP/1.1\r\nHost: [\r\n\r\n',
  ]) {
    const socket = connect(admin.port, '127.0.0.1');
    socket.end(garbage);
    assert.match(await text(socket), /^(HTTP\/1\.1 4|$)/);
  }
  assert.equal((await ask(admin, '/healthz')).status, 200);
});

test('closing ends connections that are kept alive and streams that would never end', async (context) => {
  const admin = await start(context, {
    routes(app) {
      app.get(
        '/events',
        () =>
          new Response(new ReadableStream({ start: (c) => c.enqueue(Buffer.from('data: 1\n\n')) })),
      );
    },
  });
  const agent = new Agent({ keepAlive: true });
  context.after(() => agent.destroy());
  await ask(admin, '/healthz', { agent });
  const stream = request({
    host: '127.0.0.1',
    port: admin.port,
    path: '/api/v1/events',
    headers: AUTHORIZED,
  });
  stream.end();
  const [events] = await once(stream, 'response');
  await once(events, 'data');
  const cut = once(events, 'error');
  await admin.close();
  await cut;
  await admin.close();
});
