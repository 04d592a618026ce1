// `zonegate doctor` as a command, on a configuration with something well and something wrong everywhere.

import assert from 'node:assert/strict';
import { chmod, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type GatewayWords, makeGatewayFolder } from '../support/gateway-folder.ts';
import { zonegate } from '../support/program.ts';
import { GRAPH, standInGraph } from '../support/stand-in-graph.ts';
import { refusingPort, startEcho, startNameServer } from '../support/upstream.ts';

interface Finding {
  readonly level: string;
  readonly place: string;
  readonly message: string;
  readonly expected: string | null;
  readonly fix: string | null;
}

/** Names are asked of a server of the test, unless the words say otherwise. */
async function folderOf(t: TestContext, { settings, ...words }: GatewayWords) {
  const names = await startNameServer();
  t.after(() => names[Symbol.asyncDispose]());
  const dns = { servers: [`127.0.0.1:${names.port}`] };
  const made = await makeGatewayFolder({ ...words, settings: { dns, ...settings } });
  t.after(() => made[Symbol.asyncDispose]());
  await chmod(join(made.folder, 'gateway-key.pem'), 0o600);
  return { ...made, names, file: join(made.folder, 'zonegate.yaml') };
}

async function findings(...args: readonly string[]) {
  const { code, stdout, stderr } = await zonegate('doctor', '--json', ...args);
  assert.equal(stderr, '');
  const document = JSON.parse(stdout) as { readonly ok: boolean; readonly findings: Finding[] };
  assert.equal(document.ok, code === 0);
  const bad = document.findings.filter(({ level }) => level !== 'ok');
  for (const { expected, fix } of bad) assert.ok(expected !== null && fix !== null);
  const of = (place: string) =>
    document.findings
      .filter((one) => one.place === place)
      .map(({ level, message }) => `${level}: ${message}`);
  return { code, of };
}

test('what is well and what is not, each in its place', async (t) => {
  await using echo = await startEcho();
  const dead = await refusingPort();
  const { file, folder, names } = await folderOf(t, {
    posture: 'uem',
    settings: {
      egress: { pools: { main: ['127.0.0.10', '192.0.2.77'] } },
      upstreams: {
        partner: {
          servers: [
            { host: '127.0.0.1', port: echo.port },
            { host: '127.0.0.1', port: dead },
          ],
        },
      },
    },
  });
  await chmod(join(folder, 'gateway-key.pem'), 0o644);
  const { code, of } = await findings('-c', file, '--reach', `127.0.0.1:${echo.port}`);
  assert.equal(code, 1);
  const [here, looped] = of('egress.pools.main 127.0.0.10');
  assert.equal(here, 'ok: is an address of this machine');
  assert.match(looped ?? '', /^warning: is a special-purpose address \(loopback\)/);
  assert.match(of('egress.pools.main 127.0.0.10').at(-1) ?? '', /^ok: connects to 127\.0\.0\.1:/);
  const gone = of('egress.pools.main 192.0.2.77');
  assert.equal(gone[0], 'problem: is not an address of this machine');
  assert.match(gone[1] ?? '', /^problem: does not connect to /);
  assert.deepEqual(of('posture.source uem'), ['ok: answers, and takes the credentials']);
  assert.match(of(`upstreams.partner 127.0.0.1:${echo.port}`)[0] ?? '', /^ok: connects/);
  assert.match(of(`upstreams.partner 127.0.0.1:${dead}`)[0] ?? '', /^problem: .*refused/);
  assert.match(of('tls.certificate')[0] ?? '', /^warning: `CN=gw\.test` ends on /);
  assert.match(of('identity.revocation')[0] ?? '', /^warning: the list of /);
  assert.match(of(join(folder, 'gateway-key.pem'))[0] ?? '', /^warning: .*everybody.*644/);
  assert.match(of('clock')[0] ?? '', /^ok/);
  assert.match(of(`dns.servers 127.0.0.1:${names.port}`)[0] ?? '', /^(ok|warning): /);
});

test('credentials the posture source does not take, and a DNS server that is not there', async (t) => {
  const dead = await refusingPort();
  const { file, uem } = await folderOf(t, {
    posture: 'uem',
    settings: {
      dns: { servers: [`127.0.0.1:${dead}`], timeout: '200ms' },
      posture: {
        source: { auth: { kind: 'basic', username: 'zonegate', password: 'outdated-one' } },
      },
    },
  });
  const { code, of } = await findings('-c', file);
  assert.equal(code, 1);
  assert.match(of('posture.source uem')[0] ?? '', /^problem: /);
  assert.ok(!JSON.stringify(of('posture.source uem')).includes('outdated-one'));
  assert.match(of(`dns.servers 127.0.0.1:${dead}`)[0] ?? '', /^problem: does not answer/);
  assert.ok(uem.url.startsWith('http'));
});

test('the address that others see is compared, and so is the clock', async (t) => {
  const page = createServer((request, response) => {
    response.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString());
    response.end(
      `{"ip":"${request.url === '/same' ? request.socket.remoteAddress : '45.33.32.1'}"}`,
    );
  });
  await new Promise<void>((resolve) => void page.listen(0, '127.0.0.1', resolve));
  t.after(() => void page.close());
  const address = page.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { file } = await folderOf(t, {});
  const same = await findings('-c', file, '--expect-url', `http://127.0.0.1:${address.port}/same`);
  assert.equal(same.code, 0);
  assert.equal(same.of('egress.pools.main 127.0.0.10').at(-1), 'ok: is what others see');
  assert.match(same.of('clock').at(-1) ?? '', /^warning: is 3[56]\d\d s away/);
  const other = await findings('-c', file, '--expect-url', `http://127.0.0.1:${address.port}/`);
  assert.equal(other.code, 1);
  assert.equal(
    other.of('egress.pools.main 127.0.0.10').at(-1),
    'problem: others see 45.33.32.1 instead',
  );
});

test('a clock that is behind its own files is told', async (t) => {
  const { file } = await folderOf(t, {});
  const tomorrow = new Date(Date.now() + 86_400_000);
  await utimes(file, tomorrow, tomorrow);
  const { code, of } = await findings('-c', file);
  assert.equal(code, 1);
  assert.match(of('clock')[0] ?? '', /^problem: says /);
});

test('as text each finding has its fix, and the sum comes last', async (t) => {
  const { file } = await folderOf(t, { settings: { egress: { pools: { main: ['192.0.2.77'] } } } });
  const { code, stdout } = await zonegate('doctor', '-c', file);
  assert.equal(code, 1);
  assert.match(stdout, /^problem {2}egress\.pools\.main 192\.0\.2\.77: is not an address/m);
  assert.match(stdout, /^ {11}fix: add it \(`ip address add 192\.0\.2\.77\/32 dev …`\)/m);
  assert.match(stdout, /\n1 problem, \d+ warnings, \d+ ok\n$/);
});

test('wrong usage and a broken configuration are 2, as with every command', async (t) => {
  const { file } = await folderOf(t, {});
  assert.equal((await zonegate('doctor', '-c', file, '--reach', 'nowhere')).code, 2);
  assert.equal((await zonegate('doctor', '-c', file, '--expect-url', 'ftp://a')).code, 2);
  await writeFile(file, 'nonsense: true\n');
  const broken = await zonegate('doctor', '-c', file);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /zonegate\.yaml:1:1: /);
});

test('an app registration that Graph takes, and one that it does not', async (t) => {
  const graph = await standInGraph(t, []);
  const intune = { kind: 'intune', ...GRAPH, url: graph.url, login: graph.url };
  const wrong = { ...intune, name: 'old', clientSecret: 'outdated-one' };
  const posture = { source: null, sources: [intune, wrong] };
  const { file } = await folderOf(t, { settings: { posture } });
  const { of } = await findings('-c', file);
  assert.deepEqual(of('posture.source intune'), ['ok: answers, and takes the credentials']);
  assert.match(
    of('posture.source old')[0] ?? '',
    /^problem: the token endpoint answered status 401/,
  );
  assert.ok(!JSON.stringify(of('posture.source old')).includes('outdated-one'));
});
