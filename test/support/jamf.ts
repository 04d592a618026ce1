// A stand-in for Jamf Pro: its two inventories over HTTP with their filters, its tokens, and its ways to fail.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerBadly, type StandInFault } from '../../cli/quickstart/stand-in-faults.ts';

export interface JamfDevice {
  readonly kind: 'computer' | 'mobile';
  readonly id: string;
  readonly udid: string;
  readonly serial: string;
  readonly managed: boolean;
  /** Names of smart groups. */
  readonly smart: readonly string[];
  readonly static?: readonly string[];
  /** Merged over the answer, section by section. */
  readonly odd?: Readonly<Record<string, unknown>>;
}

export const macBook: JamfDevice = {
  kind: 'computer',
  id: '52',
  udid: '7C3F0F00-1111-2222-3333-444455556666',
  serial: 'C02ABC',
  managed: true,
  smart: ['Compliant', 'FileVault on'],
  static: ['Pilot'],
};

export const iPhone: JamfDevice = {
  kind: 'mobile',
  id: '7',
  udid: '00008110-000A1B2C3D4E5F60',
  serial: 'F2LXYZ',
  managed: true,
  smart: ['Compliant'],
};

export interface StandInJamf extends AsyncDisposable {
  readonly url: string;
  /** Method and path with query, in order; without those about tokens. */
  readonly requests: readonly string[];
  tokensGiven(): number;
  set(devices: readonly JamfDevice[]): void;
  setFault(fault: StandInFault | 'half' | 'no-filter' | null): void;
  revokeTokens(): void;
}

export async function startJamf(devices: readonly JamfDevice[]): Promise<StandInJamf> {
  let current = devices;
  let fault: StandInFault | 'half' | 'no-filter' | null = null;
  let given = 0;
  let valid = new Set<string>();
  const requests: string[] = [];

  function giveToken(response: ServerResponse, form: URLSearchParams): void {
    const isClient =
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === 'zonegate' &&
      form.get('client_secret') === 'jamf-secret';
    if (!isClient) {
      json(response, 401, { error: 'invalid_client' });
      return;
    }
    given += 1;
    valid.add(`token-${given}`);
    const body = { access_token: `token-${given}`, token_type: 'Bearer', expires_in: 1199 };
    json(response, 200, { ...body, scope: 'api-role:1' });
  }

  function lookUp(request: IncomingMessage, response: ServerResponse, url: URL): void {
    requests.push(`${request.method} ${request.url}`);
    const [, token = ''] = (request.headers.authorization ?? '').split('Bearer ');
    if (!valid.has(token)) {
      json(response, 401, { httpStatus: 401, errors: [] });
      return;
    }
    const kind = url.pathname.startsWith('/api/v1/computers') ? 'computer' : 'mobile';
    const known = current.filter((device) => device.kind === kind);
    const found = fault === 'no-filter' ? known : known.filter(filterOf(url, kind));
    const results = found.map(kind === 'computer' ? toComputer : toMobile);
    const shown = fault === 'half' ? results.slice(0, results.length / 2) : results;
    const body = { totalCount: results.length, results: shown };
    if (fault !== null && fault !== 'half' && fault !== 'no-filter') {
      if (answerBadly(fault, response, JSON.stringify(body))) return;
    }
    json(response, 200, body);
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://jamf');
    if (request.method === 'POST' && url.pathname === '/api/oauth/token') {
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => giveToken(response, new URLSearchParams(text)));
      return;
    }
    const isInventory =
      request.method === 'GET' &&
      ['/api/v1/computers-inventory', '/api/v2/mobile-devices/detail'].includes(url.pathname);
    if (isInventory) return lookUp(request, response, url);
    json(response, 404, { httpStatus: 404, errors: [] });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    tokensGiven: () => given,
    set(next) {
      current = next;
    },
    setFault(next) {
      fault = next;
    },
    revokeTokens() {
      valid = new Set();
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** `udid=in=("a","B")`: the spelling counts, as a strict reader of RSQL may have it. */
function filterOf(url: URL, kind: JamfDevice['kind']): (device: JamfDevice) => boolean {
  const [, field = '', list = ''] =
    /^([\w.]+)=in=\((.*)\)$/.exec(url.searchParams.get('filter') ?? '') ?? [];
  const values = new Set([...list.matchAll(/"([^"]*)"/g)].map(([, value]) => value));
  const serial = kind === 'computer' ? 'hardware.serialNumber' : 'serialNumber';
  if (field !== 'udid' && field !== serial) throw new Error(`no filter by \`${field}\``);
  return (device) => values.has(field === 'udid' ? device.udid : device.serial);
}

function toComputer({ id, udid, serial, managed, smart, odd = {}, ...rest }: JamfDevice): object {
  const groupMemberships = [
    ...smart.map((groupName, at) => ({ groupId: `${at}`, groupName, smartGroup: true })),
    ...(rest.static ?? []).map((groupName) => ({ groupId: '90', groupName, smartGroup: false })),
  ];
  const whole: Record<string, unknown> = {
    id,
    udid,
    general: {
      name: 'MacBook of Ann',
      lastContactTime: '2026-11-23T04:00:00.5Z',
      reportDate: '2026-11-23T03:00:00Z',
      platform: 'Mac',
      supervised: true,
      remoteManagement: { managed, managementUsername: '' },
    },
    hardware: { make: 'Apple', model: 'MacBook Pro (14-inch)', serialNumber: serial },
    operatingSystem: { name: 'macOS', version: '26.1.0', build: '25B78' },
    userAndLocation: { username: 'ann', realname: 'Ann', email: 'ann@example.test' },
    groupMemberships,
    diskEncryption: null,
  };
  return { ...whole, ...odd };
}

function toMobile({ id, udid, serial, managed, smart, odd = {}, ...rest }: JamfDevice): object {
  const groups = [
    ...smart.map((groupName, at) => ({ groupId: `${at}`, groupName, smart: true })),
    ...(rest.static ?? []).map((groupName) => ({ groupId: '90', groupName, smart: false })),
  ];
  const whole: Record<string, unknown> = {
    mobileDeviceId: id,
    deviceType: 'iOS',
    general: {
      udid,
      displayName: 'iPhone of Ann',
      managed,
      osVersion: '26.1',
      lastInventoryUpdateDate: '2026-11-23T02:00:00.123Z',
      deviceOwnershipType: 'Institutional',
    },
    hardware: { model: 'iPhone 15', serialNumber: serial },
    userAndLocation: { username: 'ann' },
    security: { jailBreakDetected: false },
    groups,
  };
  return { ...whole, ...odd };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
