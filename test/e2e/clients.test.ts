// Clients that people really have, each through the listener it needs: curl, openssl, undici, Go's net/http.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ProxyAgent, request } from 'undici';
import { createAuthority } from '../../runtime/authority.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { program, type Ran, run } from '../support/program.ts';
import { startHttp } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
/** Where certificates and keys lie for programs that read files. */
let folder: string;
/** Of the origin, as its users trust it. */
let originCa: string;
let url: string;
let http1Port: number;

before(async () => {
  gateway = stack.use(
    await startGateway({ settings: { listeners: { deviceHttp1: '127.0.0.1:0' } } }),
  );
  assert.ok(gateway.gateway.http1Port);
  ({ http1Port } = gateway.gateway);
  const authority = await createAuthority({ name: 'Test origin CA', days: 1 });
  originCa = authority.certificatePem;
  const issued = await authority.issue({
    commonName: 'up.lab.test',
    sans: { dns: ['up.lab.test'], ip: [] },
    usage: 'server',
    days: 1,
  });
  const origin = createServer({ cert: issued.chainPem, key: issued.keyPem }, (_, response) =>
    response.end('hello from the origin'),
  ).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  stack.defer(() => {
    origin.close();
    origin.closeAllConnections();
  });
  url = `https://up.lab.test:${(origin.address() as AddressInfo).port}/`;
  folder = await mkdtemp(join(tmpdir(), 'zonegate-clients-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const good = gateway.device('good');
  const files = {
    'cert.pem': good.cert,
    'key.pem': good.key,
    'gateway-ca.pem': gateway.serverAuthority,
    'origin-ca.pem': originCa,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
});
after(() => stack.disposeAsync());

const file = (name: string) => join(folder, name);

/** How many tunnels it has carried so far. */
const carried = () => gateway.logged.filter((line) => line['zonegate.action'] === 'tunnel').length;

test('curl, through the listener for everybody', program('curl'), async () => {
  const before = carried();
  const proxy = [
    '-x',
    `https://localhost:${gateway.port}`,
    '--proxy-cacert',
    file('gateway-ca.pem'),
  ];
  const device = ['--proxy-cert', file('cert.pem'), '--proxy-key', file('key.pem')];
  const origin = ['--cacert', file('origin-ca.pem'), '-w', ' %{http_connect}', url];
  const { stdout, stderr } = await run('curl', ['-sS', ...proxy, ...device, ...origin]);
  assert.equal(stdout, 'hello from the origin 200', stderr);
  assert.equal(carried(), before + 1);
});

test(
  'openssl s_client, typing a CONNECT and what follows it in the tunnel',
  program('openssl'),
  async () => {
    await using plain = await startHttp();
    const host = `up.lab.test:${plain.port}`;
    const connect = `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const get = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    const gatewayAt = ['-connect', `localhost:${gateway.port}`, '-CAfile', file('gateway-ca.pem')];
    const device = ['-cert', file('cert.pem'), '-key', file('key.pem')];
    const { stdout, stderr } = await run(
      'openssl',
      ['s_client', ...gatewayAt, ...device, '-verify_return_error', '-quiet'],
      { input: connect + get },
    );
    assert.match(stdout, /^HTTP\/1\.1 200 .*\r\n\r\nHTTP\/1\.1 200 .*origin/s, stderr);
  },
);

const undiciAgent = (port: number) =>
  new ProxyAgent({
    uri: `https://localhost:${port}`,
    proxyTls: {
      ca: gateway.serverAuthority,
      cert: gateway.device('good').cert,
      key: gateway.device('good').key,
    },
    requestTls: { ca: originCa },
  });

test('undici, through the listener that offers HTTP/1.1 only', async () => {
  const before = carried();
  await using dispatcher = disposable(undiciAgent(http1Port));
  const { statusCode, body } = await request(url, { dispatcher });
  assert.equal(statusCode, 200);
  assert.equal(await body.text(), 'hello from the origin');
  assert.equal(carried(), before + 1);
});

function disposable(agent: ProxyAgent): ProxyAgent & AsyncDisposable {
  return Object.assign(agent, { [Symbol.asyncDispose]: () => agent.destroy() });
}

const goProgram = `package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	folder, proxy, target := os.Args[1], os.Args[2], os.Args[3]
	roots := x509.NewCertPool()
	for _, name := range []string{"gateway-ca.pem", "origin-ca.pem"} {
		pem, _ := os.ReadFile(folder + "/" + name)
		roots.AppendCertsFromPEM(pem)
	}
	device, err := tls.LoadX509KeyPair(folder+"/cert.pem", folder+"/key.pem")
	if err != nil {
		panic(err)
	}
	through, _ := url.Parse(proxy)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		Proxy:             http.ProxyURL(through),
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{device}},
		ForceAttemptHTTP2: true,
	}}
	answer, err := client.Get(target)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Print(answer.StatusCode, " ", string(body))
}
`;

test(
  'Go, through the listener that offers HTTP/1.1 only; through the other it fails at once',
  program('go'),
  async () => {
    await writeFile(file('main.go'), goProgram);
    await writeFile(file('go.mod'), 'module client\n\ngo 1.19\n');
    const built = await run('go', ['build', '-o', file('client'), '.'], {
      cwd: folder,
      deadlineMs: 240_000,
    });
    assert.equal(built.code, 0, built.stderr);
    const get = (port: number): Promise<Ran> =>
      run(file('client'), [folder, `https://localhost:${port}`, url]);
    const before = carried();
    assert.equal((await get(http1Port)).stdout, '200 hello from the origin');
    assert.equal(carried(), before + 1);
    // It takes HTTP/2 from the proxy, and speaks HTTP/1.1 all the same: what it gets back are frames.
    const broken = await get(gateway.port);
    assert.equal(broken.code, 1);
    assert.match(broken.stdout, /^error: .*(malformed HTTP response|EOF|protocol|connection)/);
    assert.equal(carried(), before + 1);
  },
);
