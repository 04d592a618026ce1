// Owns what the gateway itself serves on the device listener: to whom, what, and what it does not tell.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { test } from 'node:test';
import { deviceOfToken, pacPath } from '../../../gateway/edge/pac-token.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { DEVICE } from '../decision/policy-for.ts';
import { authority, connectDevice, device, type Edge, runEdge, statusOf } from './running-edge.ts';

const secret = 'secret of the tests';

interface Got {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

async function ask(
  t: Parameters<typeof runEdge>[0],
  edge: Edge,
  line: string,
  { fields = '', ...options }: Parameters<typeof connectDevice>[2] & { fields?: string } = {},
): Promise<Got> {
  const client = await connectDevice(t, edge, options);
  client.write(`${line} HTTP/1.1\r\nHost: gw.test\r\n${fields}Connection: close\r\n\r\n`);
  const text = await client.closed();
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { status: statusOf(text), head, body };
}

const json = ({ body }: Got) => JSON.parse(body) as Readonly<Record<string, unknown>>;

async function make(edge: Edge, compliance: 'non_compliant'): Promise<void> {
  const { report } = await edge.posture();
  assert.ok(report !== null);
  edge.posture = () => Promise.resolve({ known: true, report: { ...report, compliance } });
}

test('a device is told who it is to the gateway, and that it is healthy', async (t) => {
  const edge = await runEdge(t);
  const got = await ask(t, edge, 'GET /whoami');
  assert.equal(got.status, 200);
  assert.match(got.head, /\r\nCache-Control: no-store/);
  const { device_id, rule_set, egress_addresses, posture } = json(got);
  assert.deepEqual(
    { device_id, rule_set, egress_addresses },
    { device_id: DEVICE, rule_set: 'staff', egress_addresses: ['127.0.0.1'] },
  );
  assert.equal((posture as { healthy: unknown }).healthy, true);
});

test('a device that is refused gets the refusal, and is told why when it asks who it is', async (t) => {
  const edge = await runEdge(t);
  await make(edge, 'non_compliant');
  const refused = await ask(t, edge, 'GET /pac');
  assert.equal(refused.status, 403);
  assert.equal(json(refused)['reason'], 'posture.non_compliant');
  assert.equal(json(refused)['device_id'], undefined);
  const told = await ask(t, edge, 'GET /whoami');
  assert.equal(told.status, 403);
  const { reason, device_id, posture, rule_set } = json(told);
  assert.deepEqual(
    { reason, device_id, rule_set },
    { reason: 'posture.non_compliant', device_id: DEVICE, rule_set: null },
  );
  const { healthy, fix } = posture as { healthy: boolean; fix: string };
  assert.equal(healthy, false);
  assert.match(fix, /management app/);
});

test('nobody without a certificate is told anything', async (t) => {
  const edge = await runEdge(t);
  for (const path of ['/whoami', '/pac', '/.well-known/pvd']) {
    const got = await ask(t, edge, `GET ${path}`, { identity: null });
    assert.equal(json(got)['reason'], 'identity.no_certificate');
    assert.equal(json(got)['device_id'], undefined);
  }
});

test('the PAC file is that of the rules of the device', async (t) => {
  const edge = await runEdge(t);
  const got = await ask(t, edge, 'GET /pac');
  assert.match(got.head, /\r\nContent-Type: application\/x-ns-proxy-autoconfig\r\n/);
  assert.match(got.head, /\r\nCache-Control: private, max-age=60\r\n/);
  assert.equal(runPac(got.body)('https://origin.test/', 'origin.test'), 'HTTPS gw.test:8443');
});

test('the provisioning domain is that of the rules of the device', async (t) => {
  const edge = await runEdge(t);
  const got = await ask(t, edge, 'GET /.well-known/pvd');
  assert.match(got.head, /\r\nContent-Type: application\/pvd\+json\r\n/);
  assert.equal(json(got)['identifier'], 'gw.test.');
});

test('what has not changed is not sent again, and HEAD gets no body', async (t) => {
  const edge = await runEdge(t);
  const head = await ask(t, edge, 'HEAD /pac');
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  const [, etag = ''] = /\r\nETag: (\S+)/.exec(head.head) ?? [];
  const again = await ask(t, edge, 'GET /pac', { fields: `If-None-Match: "x", ${etag}\r\n` });
  assert.equal(again.status, 304);
  const other = await ask(t, edge, 'GET /pac', { fields: 'If-None-Match: "x"\r\n' });
  assert.equal(other.status, 200);
});

test('other methods, bodies and paths are refused', async (t) => {
  const edge = await runEdge(t);
  const post = await ask(t, edge, 'POST /pac');
  assert.equal(post.status, 405);
  assert.match(post.head, /\r\nAllow: GET, HEAD/);
  const body = await ask(t, edge, 'GET /pac', { fields: 'Content-Length: 1\r\n' });
  assert.equal(json(body)['reason'], 'request.not_proxied');
  for (const path of ['/pac/', '/pac?a', '/PAC', '/whoami/x', '//pac', '/pac/../whoami'])
    assert.equal(json(await ask(t, edge, `GET ${path}`))['reason'], 'request.not_proxied');
});

test('with its address a PAC file needs no certificate', async (t) => {
  const edge = await runEdge(t);
  const got = await ask(t, edge, `GET ${pacPath(DEVICE, secret)}`, { identity: null });
  assert.equal(got.status, 200);
  assert.match(got.body, /FindProxyForURL/);
});

test('an address that was not made with the secret is one that is not there', async (t) => {
  const edge = await runEdge(t);
  const right = pacPath(DEVICE, secret);
  const others = [
    pacPath(DEVICE, 'another secret of the tests'),
    right.replace(/^\/pac\/./, '/pac/x'),
    '/pac/x.pac',
    '/pac/..pac',
  ];
  for (const path of others) {
    const got = await ask(t, edge, `GET ${path}`, { identity: null });
    assert.equal(got.status, 404, path);
    assert.equal(json(got)['reason'], 'request.not_proxied');
  }
  await make(edge, 'non_compliant');
  const unhealthy = await ask(t, edge, `GET ${right}`, { identity: null });
  assert.equal(unhealthy.status, 404);
});

test('a token opens one PAC file for each connection', async (t) => {
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge, { identity: null });
  const request = `GET ${pacPath(DEVICE, secret)} HTTP/1.1\r\nHost: gw.test\r\n\r\n`;
  client.write(request + request);
  const text = await client.closed();
  assert.equal(text.split('FindProxyForURL').length, 2);
});

test('a token is for its device and no other', () => {
  const [, token = ''] = /^\/pac\/(.*)\.pac$/.exec(pacPath('one:ö', secret)) ?? [];
  assert.equal(deviceOfToken(token, secret), 'one:ö');
  assert.equal(deviceOfToken(`${token}x`, secret), null);
  assert.equal(deviceOfToken(token, 'another secret'), null);
  const [, proof] = token.split('.');
  assert.equal(deviceOfToken(`${Buffer.from('two').toString('base64url')}.${proof}`, secret), null);
});

test('a file that could not be made is a fault of the gateway, and the log says which', async (t) => {
  const edge = await runEdge(t);
  const failing = () => Promise.reject(new Error('it says something else'));
  const { pacSecret } = edge.parts.own() ?? assert.fail();
  const files = { pac: failing, pvd: failing };
  Object.assign(edge.parts, { own: () => ({ files, pacSecret }) });
  for (const path of ['/pac', '/.well-known/pvd', pacPath(DEVICE, secret)]) {
    const got = await ask(t, edge, `GET ${path}`);
    assert.equal(got.status, 500);
    assert.equal(json(got)['reason'], 'gateway.internal');
    assert.doesNotMatch(got.body, /something else/);
    assert.equal(edge.lines.at(-1)?.['error.message'], 'it says something else');
  }
});

test('it is counted and logged, and admits nothing', async (t) => {
  const edge = await runEdge(t);
  await ask(t, edge, 'GET /pac');
  await ask(t, edge, `GET /pac/x.pac`);
  assert.equal(await edge.metric('zonegate_own_requests_total{endpoint="pac"}'), '1');
  assert.equal(await edge.metric('zonegate_own_requests_total{endpoint="pac_token"}'), '1');
  assert.equal(await edge.metric('zonegate_admissions_total{method="connect"}'), '0');
  const lines = edge.lines.filter((line) => line['event.name'] === 'zonegate.own');
  assert.deepEqual(
    lines.map((line) => [line['zonegate.endpoint'], line['device.id'], line['zonegate.reason']]),
    [
      ['pac', DEVICE, undefined],
      ['pac_token', null, 'request.not_proxied'],
    ],
  );
});

async function askH2(session: http2.ClientHttp2Session, path: string, method = 'GET') {
  const stream = session.request({ ':method': method, ':path': path, ':scheme': 'https' });
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return { head, body };
}

test('the same is served over HTTP/2', async (t) => {
  const edge = await runEdge(t);
  const origin = `https://localhost:${edge.port}`;
  const { certificatePem: ca } = authority;
  const session = http2.connect(origin, { ca, cert: device.chainPem, key: device.keyPem });
  t.after(() => session.destroy());
  const who = await askH2(session, '/whoami');
  assert.equal(who.head[':status'], 200);
  assert.equal((JSON.parse(who.body) as { device_id: unknown }).device_id, DEVICE);
  assert.match((await askH2(session, '/.well-known/pvd')).body, /proxy-match/);
  const head = await askH2(session, '/pac', 'HEAD');
  assert.equal(head.body, '');
  assert.equal(head.head['content-type'], 'application/x-ns-proxy-autoconfig');
  assert.equal((await askH2(session, '/pac', 'DELETE')).head[':status'], 405);
  assert.equal((await askH2(session, '/')).head[':status'], 404);
  // And a stranger with a token: one answer, then the connection ends.
  const stranger = http2.connect(origin, { ca });
  const ended = once(stranger, 'close');
  const got = await askH2(stranger, pacPath(DEVICE, secret));
  assert.match(got.body, /FindProxyForURL/);
  await ended;
});
