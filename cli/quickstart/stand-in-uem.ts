// A UEM to try Zonegate with: a few devices behind the Workspace ONE API, and events when they change.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request as send } from 'undici';
import { type DeviceChange, type StandInDevice, toEvent, toV1Device } from './stand-in-device.ts';
import { answerBadly, type Json, type StandInFault, spoil } from './stand-in-faults.ts';

export interface StandInUemOptions {
  readonly port: number;
  readonly devices: readonly StandInDevice[];
  readonly oauth: { readonly clientId: string; readonly clientSecret: string } | null;
  readonly basic: { readonly username: string; readonly password: string } | null;
  readonly tenantCode: string | null;
  readonly event: EventRecipient | null;
}

// Where event notifications go, and with which credentials.
export interface EventRecipient {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

export interface Delivery {
  readonly delivered: boolean;
  readonly status: number | null;
  readonly tookMs: number;
}

export interface StandInUem {
  readonly port: number;
  readonly url: string;
  readonly requests: readonly string[]; // method and path of the last thousand, in order
  // Changes a device; says how its event fared, or null when there was nobody or nothing to tell.
  setDevice(udid: string, change: DeviceChange): Promise<Delivery | null>;
  setEventRecipient(target: EventRecipient | null): void;
  setFault(fault: StandInFault | null): void;
  revokeTokens(): void;
  close(): Promise<void>;
}

// Null: answered already, or never to be.
type Reply = { readonly status: number; readonly value: unknown } | null;

const TOKEN_LIFE_S = 3600;
const MAX_PAGE = 500;
const MAX_REMEMBERED = 1_000;
const MAX_BODY_BYTES = 65_536;
const EVENT_DEADLINE_MS = 5_000;

export async function createStandInUem(options: StandInUemOptions): Promise<StandInUem> {
  const devices = new Map(options.devices.map((device) => [device.udid.toLowerCase(), device]));
  const tokens = new Set<string>();
  const requests: string[] = [];
  let target = options.event;
  let fault: StandInFault | null = null;

  async function setDevice(udid: string, change: DeviceChange): Promise<Delivery | null> {
    const before = devices.get(udid.toLowerCase());
    if (before === undefined) throw new Error(`the stand-in UEM has no device \`${udid}\``);
    const after = { ...before, ...change };
    devices.set(udid.toLowerCase(), after);
    const event = toEvent(before, after, Date.now());
    return event === null || target === null ? null : await deliver(event, target);
  }

  function giveToken(form: URLSearchParams): Reply {
    const { oauth } = options;
    const isClient =
      oauth !== null &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === oauth.clientId &&
      form.get('client_secret') === oauth.clientSecret;
    if (!isClient) return { status: 400, value: { error: 'invalid_client' } };
    const token = randomUUID();
    tokens.add(token);
    // The number as text is how some regions answer.
    const life = String(TOKEN_LIFE_S);
    return { status: 200, value: { access_token: token, token_type: 'Bearer', expires_in: life } };
  }

  function mayRead(request: IncomingMessage): boolean {
    const { authorization = '' } = request.headers;
    if (authorization.startsWith('Bearer ')) return tokens.has(authorization.slice(7));
    return options.basic !== null && authorization === basicOf(options.basic);
  }

  function lookUp(request: IncomingMessage, url: URL, response: ServerResponse): Reply {
    const found = findDevice(devices, url.searchParams);
    const device = spoil(fault, found === null ? {} : toV1Device(found, Date.now()));
    if (fault !== null && answerBadly(fault, response, JSON.stringify(device))) return null;
    if (!mayRead(request)) return failure(401, 1005, 'Invalid credentials');
    if (options.tenantCode !== null && request.headers['aw-tenant-code'] !== options.tenantCode) {
      return failure(400, 1013, 'Tenant Access Security Error');
    }
    return found === null ? failure(404, 5061, 'Device not found') : { status: 200, value: device };
  }

  function refused(request: IncomingMessage): Reply {
    if (!mayRead(request)) return failure(401, 1005, 'Invalid credentials');
    if (options.tenantCode === null || request.headers['aw-tenant-code'] === options.tenantCode) {
      return null;
    }
    return failure(400, 1013, 'Tenant Access Security Error');
  }

  /** Badly, or a page of these devices. */
  function list(
    found: readonly StandInDevice[],
    page: Record<string, number>,
    response: ServerResponse,
  ): Reply {
    const value = {
      Devices: found.map((device) => spoil(fault, toV1Device(device, Date.now()))),
      ...page,
    };
    if (fault !== null && answerBadly(fault, response, JSON.stringify(value))) return null;
    return { status: 200, value };
  }

  // One value nobody knows, and there is no answer about any of them.
  function lookUpMany(request: IncomingMessage, text: string, response: ServerResponse): Reply {
    const refusal = refused(request);
    if (refusal !== null) return refusal;
    const udids = valuesOf(text);
    const found = udids?.map((udid) => devices.get(udid.toLowerCase()) ?? null);
    if (found === undefined) return failure(422, 1, 'expected BulkValues');
    const known = found.filter((device) => device !== null);
    if (known.length < found.length) return failure(404, 5002, 'Device not found');
    return list(known, { Total: known.length }, response);
  }

  function search(request: IncomingMessage, url: URL, response: ServerResponse): Reply {
    const refusal = refused(request);
    if (refusal !== null) return refusal;
    const page = Number(url.searchParams.get('page') ?? 0);
    // More than this is not given, and not refused either.
    const size = Math.min(MAX_PAGE, Number(url.searchParams.get('pagesize') ?? MAX_PAGE));
    const since = Date.parse(url.searchParams.get('seensince') ?? '');
    const all = [...devices.values()].filter(
      ({ lastSeen }) => Number.isNaN(since) || lastSeen === null || lastSeen >= since,
    );
    const part = all.slice(page * size, (page + 1) * size);
    return list(part, { Page: page, PageSize: size, Total: all.length }, response);
  }

  async function changeDevice(udid: string, text: string): Promise<Reply> {
    if (!devices.has(udid.toLowerCase())) return failure(404, 5061, 'no such device');
    const change = readChange(text);
    if (change === null) return failure(422, 1, `expected an object of ${CHANGEABLE.join(', ')}`);
    const event = await setDevice(udid, change);
    return { status: 200, value: { device: devices.get(udid.toLowerCase()), event } };
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<Reply> {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    const call = `${request.method} ${url.pathname}`;
    if (requests.length === MAX_REMEMBERED) requests.shift();
    requests.push(call);
    if (call === 'GET /api/mdm/devices') return lookUp(request, url, response);
    const text = await readBody(request);
    if (text === null) return failure(413, 1, 'body too large');
    if (call === 'POST /api/mdm/devices') return lookUpMany(request, text, response);
    if (call === 'GET /api/mdm/devices/search') return search(request, url, response);
    if (call === 'POST /connect/token') return giveToken(new URLSearchParams(text));
    // No web page may turn the switches of somebody who tries this out.
    if (request.headers.origin !== undefined) return failure(403, 1, 'not for browsers');
    if (call === 'GET /stand-in/devices') return { status: 200, value: [...devices.values()] };
    const [, udid] = /^POST \/stand-in\/devices\/([A-Za-z0-9._-]+)$/.exec(call) ?? [];
    return udid === undefined ? failure(404, 404, 'no such resource') : changeDevice(udid, text);
  }

  const server = createServer((request, response) => {
    route(request, response).then(
      (reply) => reply !== null && answer(response, reply),
      () => response.destroy(),
    );
  });
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    setDevice,
    setEventRecipient(next) {
      target = next;
    },
    setFault(next) {
      fault = next;
    },
    revokeTokens: () => tokens.clear(),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function findDevice(
  devices: ReadonlyMap<string, StandInDevice>,
  query: URLSearchParams,
): StandInDevice | null {
  const id = (query.get('id') ?? '').toLowerCase();
  switch (query.get('searchby')?.toLowerCase() ?? '') {
    case 'udid':
      return devices.get(id) ?? null;
    case 'serialnumber':
      return devices.values().find((device) => device.serial.toLowerCase() === id) ?? null;
    case 'deviceid':
      return devices.values().find((device) => String(device.id) === id) ?? null;
    default:
      return null;
  }
}

async function deliver(event: Json, target: EventRecipient): Promise<Delivery> {
  const began = performance.now();
  let status: number | null = null;
  try {
    const { statusCode, body } = await send(target.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: basicOf(target) },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(EVENT_DEADLINE_MS),
    });
    await body.dump();
    status = statusCode;
  } catch {
    // Nobody there: like the real one, it does not try again.
  }
  return { delivered: status === 200, status, tookMs: Math.round(performance.now() - began) };
}

const CHANGEABLE = [
  'enrollment',
  'compliance',
  'compromised',
  'group',
  'user',
  'platform',
] as const;

function readChange(text: string): DeviceChange | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    const entries = Object.entries(value);
    const isKnown = entries.every(
      ([key, to]) =>
        CHANGEABLE.some((name) => name === key) &&
        typeof to === (key === 'compromised' ? 'boolean' : 'string'),
    );
    return isKnown && entries.length > 0 ? Object.fromEntries(entries) : null;
  } catch {
    return null;
  }
}

/** The body of a look-up of many: `{"BulkValues":{"Value":["…"]}}`. */
function valuesOf(text: string): readonly string[] | null {
  try {
    const { Value } = (JSON.parse(text) as { BulkValues: { Value: unknown } }).BulkValues;
    return Array.isArray(Value) && Value.every((one) => typeof one === 'string') ? Value : null;
  } catch {
    return null;
  }
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(response: ServerResponse, reply: NonNullable<Reply>): void {
  response.writeHead(reply.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(reply.value));
}

function failure(status: number, errorCode: number, message: string): Reply {
  return { status, value: { errorCode, message, activityId: randomUUID() } };
}

function basicOf(pair: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${pair.username}:${pair.password}`, 'utf8').toString('base64')}`;
}
