// `zonegate serve` with two workers, as the end-to-end tests run it: devices, the admin API, and which worker did what.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openTls, type TlsWire } from './client.ts';
import { type Connected, connectOver } from './gateway.ts';
import {
  adminToken,
  type Device,
  type GatewayFolder,
  type GatewayWords,
  makeGatewayFolder,
} from './gateway-folder.ts';
import { type RunningCommand, startZonegate } from './program.ts';

export interface Crew extends RunningCommand {
  readonly made: GatewayFolder;
  readonly good: Device;
  readonly adminPort: number;
  open(device?: Device, session?: Buffer): Promise<TlsWire>;
  connect(device?: Device): Promise<Connected>;
  /** A tunnel of the device on each of the two workers, by the worker's number. */
  connectToBoth(device?: Device): Promise<ReadonlyMap<number, Connected>>;
  /** The worker that decided about it. */
  workerOf(tunnel: TlsWire): Promise<number>;
  api(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ status: number; text: string }>;
  metric(series: string): Promise<number>;
  /** The process of a worker, from the log. */
  pidOf(worker: number): number;
  edit(file: string, text: string | Buffer): Promise<void>;
}

export interface CrewWords {
  /** Where its tunnels lead. */
  readonly target: string;
  readonly settings?: object;
  readonly words?: GatewayWords;
}

export async function serveWithWorkers({ target, settings, words }: CrewWords): Promise<Crew> {
  const made = await makeGatewayFolder({
    posture: 'uem',
    ...words,
    settings: { workers: 2, ...settings },
  });
  const serving = startZonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  const lines = () => linesOf(serving);
  await serving.shows('"msg":"ready"');
  const ports = lines().find(({ msg }) => msg === 'ready')?.['zonegate.ports'] as {
    device: number;
    admin: number;
  };
  const admin = `http://127.0.0.1:${ports.admin}`;
  made.uem.setEventRecipient({
    url: `${admin}/webhooks/workspace-one/uem`,
    username: 'uem',
    password: 'webhook-password',
  });
  const good = made.device('good');
  const open = (device = good, session?: Buffer) => {
    const words = { port: ports.device, ca: made.serverAuthority, keys: device };
    return openTls(session === undefined ? words : { ...words, session });
  };
  const connect = async (device = good) => connectOver(await open(device), target);
  const api: Crew['api'] = async (method, path, body) => {
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${admin}${path}`, { method, headers, ...sent });
    return { status: response.status, text: await response.text() };
  };
  /** Every decision is logged by the worker that made it, with the port of the client. */
  const workerOf = async ({ socket }: TlsWire): Promise<number> => {
    await serving.shows(
      new RegExp(`"event.name":"zonegate.admit".*"client.port":${socket.localPort},`),
    );
    const line = lines().find((one) => one['client.port'] === socket.localPort);
    return Number(line?.['zonegate.worker']);
  };
  return {
    ...serving,
    made,
    good,
    adminPort: ports.admin,
    open,
    connect,
    workerOf,
    api,
    async connectToBoth(device) {
      const byWorker = new Map<number, Connected>();
      for (let tries = 0; tries < 20 && byWorker.size < 2; tries += 1) {
        const tunnel = await connect(device);
        const worker = await workerOf(tunnel);
        if (byWorker.has(worker)) tunnel.socket.destroy();
        else byWorker.set(worker, tunnel);
      }
      assert.equal(byWorker.size, 2, 'connections are dealt out to both');
      return byWorker;
    },
    async metric(series) {
      const { text } = await api('GET', '/metrics');
      const line = text.split('\n').find((one) => one.startsWith(`${series} `));
      return Number(line?.slice(series.length));
    },
    pidOf(worker) {
      const line = lines().find(
        (one) => one['msg'] === 'worker serves' && one['zonegate.worker'] === worker,
      );
      return Number(line?.['process.pid']);
    },
    async edit(file, text) {
      await writeFile(join(made.folder, file), text);
      const { status, text: answer } = await api('POST', '/api/v1/reload');
      assert.equal(status, 200, answer);
    },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await made[Symbol.asyncDispose]();
    },
  };
}

export function linesOf(serving: RunningCommand): readonly Record<string, unknown>[] {
  const complete = serving.stdout().split('\n').slice(0, -1);
  return complete.map((line) => JSON.parse(line) as Record<string, unknown>);
}
