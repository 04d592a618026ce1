// Owns which port the next connection of an egress address leaves from.

import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface LocalPorts {
  /** 0 leaves the choice to the system. */
  next(source: string): number;
}

/** A port bound for one destination is free for every other. Bound as 0 it is not: the kernel then
 *  searches for one that nobody uses at all, on the event loop, 2 to 4.5 ms above 7000 ports in use or in
 *  TIME_WAIT (Node has no IP_BIND_ADDRESS_NO_PORT). Shuffled, so that nobody can guess the next one
 *  (RFC 6056) and processes do not follow each other; each is used once before any is used again. */
export function createLocalPorts(
  ports: readonly number[],
  random: (below: number) => number,
): LocalPorts {
  const order = Uint16Array.from(ports);
  for (let i = order.length - 1; i > 0; i -= 1) {
    const other = random(i + 1);
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  const places = new Map<string, number>();
  return {
    next(source) {
      if (order.length === 0) return 0;
      const place = places.get(source) ?? random(order.length);
      places.set(source, (place + 1) % order.length);
      return order[place] ?? 0;
    },
  };
}

/** As Linux writes them: `32768 60999` and `8080,9000-9010`. Empty when the range makes no sense. */
export function parseLocalPorts(range: string, reserved: string): readonly number[] {
  const [first = 0, last = 0] = range.trim().split(/\s+/).map(Number);
  if (!(first > 0 && last <= 65_535)) return [];
  const spans = reserved.trim().split(',').filter(Boolean);
  const taken = spans.map((span) => span.split('-').map(Number));
  const ports = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  return ports.filter((port) => !taken.some(([from = 0, to = from]) => port >= from && port <= to));
}

let shared: LocalPorts | null = null;

/** One for the process, as the ports are. Where they cannot be read (macOS) the system chooses. */
export function systemLocalPorts(): LocalPorts {
  shared ??= createLocalPorts(
    parseLocalPorts(readSetting('ip_local_port_range'), readSetting('ip_local_reserved_ports')),
    randomInt,
  );
  return shared;
}

function readSetting(name: string): string {
  try {
    return readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1');
  } catch {
    return '';
  }
}
