// A DNS server on loopback for tests: answers what it is told, or nothing, and counts what it was asked.

import dgram from 'node:dgram';
import { once } from 'node:events';

/** `silent` does not answer, `missing` is NXDOMAIN, `broken` is SERVFAIL. */
type Status = 'silent' | 'missing' | 'broken';

interface Records {
  readonly a?: readonly string[] | Status;
  readonly aaaa?: readonly string[] | Status;
  readonly ttl?: number;
}

/** What is known of names, by address family where the families differ. */
export type Zone = Readonly<Record<string, Records | { readonly alias: string } | Status>>;

export interface DnsServer {
  /** As `createResolver` takes it. */
  readonly server: string;
  /** `A name` and `AAAA name`, in the order they came. */
  readonly asked: readonly string[];
  /** What later questions are answered from. */
  zone: Zone;
  /** Answers from `zone` what has met with silence so far. */
  breakSilence(): void;
  close(): void;
}

const types: Readonly<Record<number, string>> = { 1: 'A', 5: 'CNAME', 28: 'AAAA' };
const typeNumber = { a: 1, aaaa: 28, alias: 5 } as const;
const rcode = { ok: 0, broken: 2, missing: 3 } as const;

export async function runDns(zone: Zone): Promise<DnsServer> {
  const socket = dgram.createSocket('udp4');
  const asked: string[] = [];
  const unanswered = new Set<() => void>();
  const dns: DnsServer = {
    get server() {
      return `127.0.0.1:${socket.address().port}`;
    },
    asked,
    zone,
    breakSilence() {
      const waiting = [...unanswered];
      unanswered.clear();
      for (const answer of waiting) answer();
    },
    close: () => void socket.close(),
  };
  socket.on('message', (query, { port, address }) => {
    const { name, type } = readQuestion(query);
    asked.push(`${types[type] ?? type} ${name}`);
    const answer = (): void => {
      const message = answerTo(query, dns.zone);
      if (message === null) unanswered.add(answer);
      else socket.send(message, port, address);
    };
    answer();
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return dns;
}

/** Null for silence. */
function answerTo(query: Buffer, zone: Zone): Buffer | null {
  const { name, type, end } = readQuestion(query);
  const known = zone[name] ?? 'missing';
  const found = typeof known === 'string' ? known : recordsOf(known, type, name, zone);
  if (found === 'silent') return null;
  const records = typeof found === 'string' ? [] : found;
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180 | rcode[typeof found === 'string' ? found : 'ok'], 2); // an answer, recursion available
  head.writeUInt16BE(records.length, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, query.subarray(12, end), ...records]);
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function recordsOf(
  found: Exclude<Zone[string], string>,
  type: number,
  owner: string,
  zone: Zone,
): Buffer[] | Status {
  if ('alias' in found) {
    const next = zone[found.alias];
    const rest =
      typeof next !== 'object' || 'alias' in next ? [] : recordsOf(next, type, found.alias, zone);
    if (typeof rest === 'string') return rest;
    return [record(owner, typeNumber.alias, 60, encodeName(found.alias)), ...rest];
  }
  const texts = type === typeNumber.a ? found.a : type === typeNumber.aaaa ? found.aaaa : [];
  if (typeof texts === 'string') return texts;
  return (texts ?? []).map((text) => record(owner, type, found.ttl ?? 60, encodeAddress(text)));
}

function record(owner: string, type: number, ttl: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodeName(owner), fixed, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => `${String.fromCharCode(label.length)}${label}`);
  return Buffer.from(`${labels.join('')}\0`, 'latin1');
}

/** IPv6 is written out in eight groups. */
function encodeAddress(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number));
  const groups = text.split(':').map((group) => Number.parseInt(group, 16));
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
