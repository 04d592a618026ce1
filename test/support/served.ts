// `zonegate serve` over a folder, again and again: what runs, devices that come to it, its admin API.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openTls } from './client.ts';
import { type Connected, connectOver } from './gateway.ts';
import { adminToken, type Device, type GatewayFolder } from './gateway-folder.ts';
import { type RunningCommand, startZonegate } from './program.ts';

export interface Served extends RunningCommand {
  readonly adminPort: number;
  connect(device: Device, target: string): Promise<Connected>;
  /** Answers other than 200 fail, unless that is what is expected. */
  api(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
    status?: number,
  ): Promise<Json>;
  metric(series: string): Promise<number>;
  /** Asks until it holds. */
  until(holds: () => Promise<boolean>, what: string): Promise<void>;
}

export type Json = Readonly<Record<string, unknown>>;

const patienceMs = 20_000;

export async function serveFolder(made: GatewayFolder): Promise<Served> {
  const serving = startZonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  try {
    await serving.shows('"msg":"ready"');
  } catch (error) {
    await serving[Symbol.asyncDispose]();
    throw error;
  }
  const ready = /.*"msg":"ready".*/.exec(serving.stdout())?.[0] ?? '{}';
  const ports = (JSON.parse(ready) as Json)['zonegate.ports'] as { device: number; admin: number };
  const admin = `http://127.0.0.1:${ports.admin}`;
  return {
    ...serving,
    adminPort: ports.admin,
    async connect(keys, target) {
      const wire = await openTls({ port: ports.device, ca: made.serverAuthority, keys });
      return await connectOver(wire, target);
    },
    async api(method, path, body, status = 200) {
      const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await fetch(`${admin}/api/v1${path}`, { method, headers, ...sent });
      const text = await response.text();
      assert.equal(response.status, status, text);
      return JSON.parse(text) as Json;
    },
    async metric(series) {
      const text = await (await fetch(`${admin}/metrics`)).text();
      const line = text.split('\n').find((one) => one.startsWith(`${series} `));
      return Number(line?.slice(series.length));
    },
    async until(holds, what) {
      for (const end = Date.now() + patienceMs; Date.now() < end; ) {
        if (await holds()) return;
      }
      assert.fail(`in vain: ${what}`);
    },
  };
}

export const reasonOf = ({ reply }: Connected): unknown =>
  reply.status === 200 ? 'let through' : (JSON.parse(reply.body) as Json)['reason'];
