// Free ports for `zonegate quickstart`, which takes a few that follow a first one.

import { once } from 'node:events';
import net from 'node:net';
import { portsFrom } from '../../cli/quickstart.ts';
import { freePorts } from './upstream.ts';

/** The first of five ports in a row, all free. */
export async function findPortBase(): Promise<number> {
  for (;;) {
    const [first = 0] = await freePorts(1);
    const { device, idp, admin, uem } = portsFrom(first);
    if (first <= 65_000 && (await areFree([device, idp, admin, uem]))) return first;
  }
}

export async function areFree(ports: readonly number[]): Promise<boolean> {
  const servers = ports.map((port) => net.createServer().listen(port, '127.0.0.1'));
  const listening = await Promise.allSettled(servers.map((server) => once(server, 'listening')));
  for (const server of servers) server.close();
  return listening.every(({ status }) => status === 'fulfilled');
}
