// Stopping a served process: live tunnels may end, nothing new begins, and a second signal waits for nobody (R12).

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openTls, type TlsWire } from '../support/client.ts';
import { connectOver } from '../support/gateway.ts';
import { type GatewayFolder, makeGatewayFolder } from '../support/gateway-folder.ts';
import { type RunningCommand, startZonegate } from '../support/program.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let made: GatewayFolder;

before(async () => {
  echo = stack.use(await startEcho());
  made = stack.use(await makeGatewayFolder({}));
});
after(() => stack.disposeAsync());

interface Serving extends RunningCommand {
  readonly ports: { readonly device: number; readonly admin: number };
  open(): Promise<TlsWire>;
}

async function serve(): Promise<Serving> {
  const serving = startZonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  await serving.shows('"msg":"ready"');
  const ready = serving
    .stdout()
    .split('\n')
    .find((line) => line.includes('"msg":"ready"'));
  const line = JSON.parse(ready ?? '') as { 'zonegate.ports': Serving['ports'] };
  const ports = line['zonegate.ports'];
  const { serverAuthority: ca } = made;
  return {
    ...serving,
    ports,
    open: () => openTls({ port: ports.device, ca, keys: made.device('good') }),
  };
}

test('SIGTERM lets a live tunnel go on, takes nothing new, and ends with 0 when the tunnel has (R12)', async () => {
  await using serving = await serve();
  const tunnel = await connectOver(await serving.open(), `up.lab.test:${echo.port}`);
  serving.stop('SIGTERM');
  await serving.shows('"msg":"draining"');
  const ready = await fetch(`http://127.0.0.1:${serving.ports.admin}/readyz`);
  assert.equal(ready.status, 503);
  await assert.rejects(serving.open(), { code: 'ECONNREFUSED' });
  tunnel.write('still here');
  assert.equal(await tunnel.bytes(10), 'still here');
  tunnel.end();
  await tunnel.closed();
  assert.equal(await serving.ended, 0);
});

test('a second SIGTERM cuts what is left, and the exit code says so', async () => {
  await using serving = await serve();
  const tunnel = await connectOver(await serving.open(), `up.lab.test:${echo.port}`);
  serving.stop('SIGTERM');
  await serving.shows('"msg":"draining"');
  serving.stop('SIGTERM');
  await tunnel.rest();
  assert.equal(await serving.ended, 143);
});

test('SIGTERM without tunnels ends at once, kept connections or not', async () => {
  await using serving = await serve();
  const idle = await serving.open();
  serving.stop('SIGTERM');
  await idle.rest();
  assert.equal(await serving.ended, 0);
});
