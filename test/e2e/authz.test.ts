// The decision endpoint behind real proxies, set up as docs/authz.md says: nginx, Apache before nginx, Caddy.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { blocksOf } from '../docs/markdown.ts';
import { INSIDE, policyOf, type Running, startIdpZone } from '../idp-zone/running.ts';
import { program, root } from '../support/program.ts';
import { freePorts } from '../support/upstream.ts';

const PROXY = '127.0.0.1'; // where proxies connect from
const ELSEWHERE = '127.0.0.40';
const ZONES = { zones: [{ name: 'egress', gateways: [INSIDE], proxies: [PROXY] }] };
const RULES = {
  rules: [
    { name: 'the wiki', network: { zones: ['egress'] }, clients: ['wiki'], access: 'ALLOW' },
    { name: 'rest', access: 'DENY', message: 'The wiki opens in the tunnel only.' },
  ],
};

const stack = new AsyncDisposableStack();
let folder: string;
let idp: Running;
let wiki: { readonly port: number; readonly requests: http.IncomingMessage[] };
let blocks: Readonly<Record<string, string>>;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zonegate-authz-'));
  stack.defer(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755); // Apache does not stay root
  const authz = { peers: [PROXY], apps: ['wiki'], userField: 'Remote-User' };
  idp = await startIdpZone({ zones: ZONES, config: { trustedProxies: [PROXY], authz } });
  stack.defer(() => idp.close());
  idp.idp.update(policyOf(ZONES, RULES));
  await writeFile(join(folder, 'ca.pem'), idp.ca);
  wiki = await startWiki();
  const page = await readFile(join(root, 'docs/authz.md'), 'utf8');
  blocks = Object.fromEntries(blocksOf(page).map((block) => [block.kind, block.text]));
});
after(() => stack.disposeAsync());

async function startWiki() {
  const requests: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    response.end('the wiki');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** A block of the page, with the places of this test. */
function configured(kind: string, places: Readonly<Record<string, string>> = {}): string {
  const moved = {
    'proxy_pass https://idp.example.com:8445': `proxy_pass https://127.0.0.1:${idp.idp.port}`,
    'forward_auth https://idp.example.com:8445': `forward_auth https://127.0.0.1:${idp.idp.port}`,
    'idp.example.com': 'idp.example.test',
    'wiki.internal:3000': `127.0.0.1:${wiki.port}`,
    '/etc/nginx/zonegate-ca.pem': join(folder, 'ca.pem'),
    '/etc/caddy/zonegate-ca.pem': join(folder, 'ca.pem'),
    ...places,
  };
  let block = blocks[kind] ?? '';
  for (const [from, to] of Object.entries(moved)) block = block.replaceAll(from, to);
  assert.doesNotMatch(block, /example\.com|internal:/);
  return block;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function get(
  port: number,
  from: string,
  headers: http.OutgoingHttpHeaders = {},
): Promise<Answer> {
  const request = http.get({ port, host: '127.0.0.1', localAddress: from, agent: false, headers });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** Waits until it takes connections: it has read its configuration then. */
async function start(command: string, args: readonly string[], port: number): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: folder }, // Caddy writes into it
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  stack.defer(() => end(child));
  for (;;) {
    try {
      await get(port, '127.0.0.1');
      return;
    } catch {
      if (child.exitCode !== null) throw new Error(`${command} ended: ${said}`);
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function startNginx(block: string, name: string): Promise<number> {
  const [port = 0] = await freePorts(1);
  const own = join(folder, name);
  await mkdir(own);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const config = `daemon off; master_process off; worker_processes 1;
pid ${own}/pid; error_log stderr error;
events { worker_connections 64; }
http { access_log off;
${paths.map((path) => `${path}_temp_path ${own}/${path};`).join('\n')}
server { listen 127.0.0.1:${port}; ${block} } }
`;
  await writeFile(join(own, 'nginx.conf'), config);
  await start('nginx', ['-p', own, '-c', join(own, 'nginx.conf'), '-e', 'stderr'], port);
  return port;
}

async function startApache(nginxPort: number): Promise<number> {
  const [port = 0] = await freePorts(1);
  const modules = ['mpm_event', 'authz_core', 'proxy', 'proxy_http'];
  const config = `Listen 127.0.0.1:${port}
ServerName localhost
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/apache.log
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
User www-data
Group www-data
${configured('apache', { 'nginx.internal:8080': `127.0.0.1:${nginxPort}` })}`;
  await writeFile(join(folder, 'apache.conf'), config);
  await start('apache2', ['-X', '-f', join(folder, 'apache.conf')], port);
  return port;
}

async function startCaddy(): Promise<number> {
  const [port = 0] = await freePorts(1);
  const block = configured('caddy', {
    'http://wiki.example.com:8080': `http://:${port}`,
  });
  const file = join(folder, 'Caddyfile');
  await writeFile(file, `{\nadmin off\nauto_https off\n}\n${block}`);
  await start('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], port);
  return port;
}

// What a client may write to look as if it came from the zone: in every position, in every field.
const spoofs: readonly http.OutgoingHttpHeaders[] = [
  {},
  { 'x-forwarded-for': INSIDE },
  { 'x-forwarded-for': `${INSIDE}, ${ELSEWHERE}` },
  { 'x-forwarded-for': `${ELSEWHERE}, ${INSIDE}` },
  { 'x-forwarded-for': `${INSIDE}, ${PROXY}` },
  { 'x-forwarded-for': `${INSIDE}, ${PROXY}, ${PROXY}, ${PROXY}, ${PROXY}` },
  { 'x-forwarded-for': `${INSIDE},` },
  { 'x-forwarded-for': [INSIDE, INSIDE] },
  { 'x-forwarded-for': '' },
  { forwarded: `for=${INSIDE}`, 'x-real-ip': INSIDE, 'x-client-ip': INSIDE },
  { 'x-original-uri': '/authz/wiki', 'x-forwarded-uri': '/authz/other', 'remote-user': 'ann' },
  { connection: 'x-forwarded-for', 'x-forwarded-for': INSIDE },
];

async function holds(port: number): Promise<void> {
  const served = wiki.requests.length;
  for (const headers of spoofs) {
    const { status, body } = await get(port, ELSEWHERE, headers);
    assert.equal(status, 403, JSON.stringify(headers));
    assert.match(body, /The wiki opens in the tunnel only\./, 'the page is shown');
    assert.match(body, /sign-on\.outside_zone[\s\S]*127\.0\.0\.40/);
  }
  assert.equal(wiki.requests.length, served, 'nothing came through');
  for (const headers of [{}, { 'x-forwarded-for': ELSEWHERE }]) {
    assert.deepEqual(await get(port, INSIDE, headers), { status: 200, body: 'the wiki' });
  }
  const users = idp.logged.filter((line) => line['zonegate.at'] === 'authz');
  assert.ok(users.every((line) => line['user.name'] === null));
}

test(
  'nginx lets in whoever comes from the zone, and nobody who says so',
  program('nginx'),
  async () => {
    await holds(await startNginx(configured('nginx'), 'nginx'));
  },
);

test('nor does it from behind Apache', program('apache2'), async () => {
  await holds(await startApache(await startNginx(configured('nginx'), 'behind')));
});

test('nor does Caddy', program('caddy'), async () => {
  await holds(await startCaddy());
});

test('nobody gets in while the sign-in service is away', program('nginx'), async () => {
  const [nobody = 0] = await freePorts(1);
  const block = configured('nginx').replaceAll(`:${idp.idp.port}/`, `:${nobody}/`);
  const port = await startNginx(block, 'alone');
  assert.equal((await get(port, INSIDE)).status, 500);
});
