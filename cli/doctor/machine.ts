// Looks at the machine: Node, descriptors, source ports, clock.

import { readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Everything } from '../load.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** Of the machine, as text; null where there is no such thing (not Linux). */
export type ReadText = (file: string) => string | null;

export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}

export function checkMachine(all: Everything, read: ReadText, now: number): readonly Finding[] {
  return [
    ok('node', `${process.version}, OpenSSL ${process.versions.openssl}`),
    ...(all.gateway === null ? [] : [checkDescriptors(all, read), ...checkPorts(all, read)]),
    checkClock(all, now),
  ].flatMap((one) => one ?? []);
}

/** Two for each tunnel, one for each connection nobody is known behind, and those of the program itself. */
function checkDescriptors({ gateway, common }: Everything, read: ReadText): Finding | null {
  const limits = gateway?.config.limits;
  const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(read('/proc/self/limits') ?? '') ?? [];
  if (limits === undefined || soft === undefined) return null;
  const workers = common.workers === 'auto' ? availableParallelism() : common.workers;
  const wanted = Math.ceil((2 * limits.tunnels + limits.unauthenticated) / workers) + 256;
  const place = 'limits.tunnels';
  if (soft === 'unlimited' || Number(soft) >= wanted) {
    return ok(place, `${soft} open files are enough for ${limits.tunnels} tunnels`);
  }
  return warning(place, {
    message: `${soft} open files are not enough for ${limits.tunnels} tunnels`,
    expected: `at least ${wanted} for each process (this is the limit of this shell; that of a service is its own)`,
    fix: `raise it (\`LimitNOFILE=${wanted}\` in the unit, \`ulimit -n\`), or lower limits.tunnels`,
  });
}

const fewPorts = 16_000;

function checkPorts({ gateway, common }: Everything, read: ReadText): readonly Finding[] {
  const range = read('/proc/sys/net/ipv4/ip_local_port_range')?.trim().split(/\s+/).map(Number);
  const [first = 0, last = 0] = range ?? [];
  if (gateway === null || first === 0) return [];
  const place = 'net.ipv4.ip_local_port_range';
  const count = last - first + 1;
  const sum =
    count >= fewPorts
      ? ok(
          place,
          `${count} source ports: so many tunnels from one egress address to one destination`,
        )
      : warning(place, {
          message: `only ${count} source ports: so many tunnels from one egress address to one destination`,
          expected: `at least ${fewPorts}`,
          fix: 'widen it, for example to `15000 65535`, or add egress addresses',
        });
  const { device, deviceHttp1, apps, pac } = gateway.config.listeners;
  const all = [device, deviceHttp1, ...apps.map(({ listen }) => listen), pac, common.admin.listen];
  const ports = all.flatMap((one) => one?.port ?? []);
  const inside = ports.filter((port) => port >= first && port <= last);
  return [sum, ...inside.map((port) => insideRange(port, first, last))];
}

function insideRange(port: number, first: number, last: number): Finding {
  return warning(`listener :${port}`, {
    message: `is among the source ports ${first}-${last}`,
    expected: 'a port that no outgoing connection can hold when the gateway wants to listen on it',
    fix: `take another port, or reserve it (\`net.ipv4.ip_local_reserved_ports=${port}\`)`,
  });
}

/** Nothing here was written in the future. */
function checkClock({ file }: Everything, now: number): Finding {
  const written = statSync(file).mtimeMs;
  if (written <= now + 1000) return ok('clock', new Date(now).toISOString());
  return problem('clock', {
    message: `says ${new Date(now).toISOString()}, and \`${file}\` was written later`,
    expected: 'a clock that is right: certificates, lists and tokens are judged by it',
    fix: 'let the machine keep its clock (NTP)',
  });
}
