// The door for Workspace ONE event notifications: a hint to ask the UEM again, and never more than that.

import type { Context, Hono } from 'hono';
import { problem } from '../../runtime/admin.ts';
import type { Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { PostureCache } from './cache.ts';
import { createRefreshQueue } from './refresh-queue.ts';
import { createRepeatCheck } from './repeat-check.ts';
import { canonicalDeviceId } from './source.ts';
import { parseUemEvent, type UemEvent } from './uem-event.ts';
import { createSenderCheck, type WebhookCredentials } from './webhook-credentials.ts';

export interface UemWebhookOptions {
  readonly credentials: WebhookCredentials;
  readonly cache: PostureCache;
  readonly log: Log;
  readonly metrics: Metrics | null;
  readonly now: () => number;
  readonly maxBodyBytes?: number;
  readonly maxInFlight?: number;
  readonly maxPending?: number;
  readonly retryMs?: number;
}

export interface UemWebhook {
  // Adds `POST /workspace-one/<source name>` to the app.
  mount(app: Hono): void;
  close(): void;
}

const OUTCOMES = ['refresh', 'repeated', 'unknown_device', 'test', 'refused', 'full'] as const;
type Outcome = (typeof OUTCOMES)[number];

export function createUemWebhook(options: UemWebhookOptions): UemWebhook {
  const { cache, log, metrics } = options;
  const { maxBodyBytes = 65_536, maxInFlight = 16, maxPending = 10_000, retryMs = 1_000 } = options;
  const sender = createSenderCheck(options.credentials);
  const repeats = createRepeatCheck(options.now);
  const help = 'Event notifications from the UEM by what became of them.';
  const count = metrics?.counterBy('zonegate_uem_events_total', help, 'outcome', OUTCOMES);
  const queue = createRefreshQueue({
    refresh: (deviceId) => cache.refresh(deviceId),
    maxInFlight,
    maxPending,
    retryMs,
    onGivenUp(deviceId) {
      log.warn({ 'device.id': deviceId }, 'the UEM does not answer about a changed device');
    },
  });

  // What the event claims is not looked at: it may be forged, old or wrong (threats P12). The UEM is asked.
  function act(event: UemEvent): Exclude<Outcome, 'refused'> {
    if (event.uemId === null && event.serial === null && event.udid === null) return 'test';
    if (repeats.isRepeated(event.key)) return 'repeated';
    const device = findDevice(cache, event);
    // A device that never came here has no report that could be wrong.
    if (device === null) return 'unknown_device';
    if (!queue.add(device)) {
      repeats.forget(event.key); // the sender is told to try again
      return 'full';
    }
    log.info(
      { 'device.id': device, 'zonegate.event': event.kind },
      'the UEM says a device changed',
    );
    return 'refresh';
  }

  function answer(outcome: Exclude<Outcome, 'refused'>): Response {
    count?.[outcome].inc();
    if (outcome !== 'full') return Response.json({ result: outcome });
    const full = problem(503, 'Service Unavailable', 'too many changed devices are waiting');
    full.headers.set('retry-after', '30');
    return full;
  }

  function refuse(status: number, title: string, detail: string): Response {
    count?.refused.inc();
    return problem(status, title, detail);
  }

  // Before anything else is read: who cannot prove to be the UEM causes no work here and no call there.
  function refuseStranger(context: Context): Response | null {
    if (sender.isSender(context.req.header('authorization'))) return null;
    const refusal = refuse(401, 'Unauthorized', 'expected the credentials of this webhook');
    refusal.headers.set('www-authenticate', sender.challenge);
    return refusal;
  }

  async function receive(context: Context): Promise<Response> {
    const stranger = refuseStranger(context);
    if (stranger !== null) return stranger;
    const text = await readBody(context.req.raw, maxBodyBytes);
    if (text === null) {
      return refuse(413, 'Content Too Large', `expected at most ${maxBodyBytes} bytes`);
    }
    // The console's "test connection" need not carry anything.
    if (text.trim() === '') return answer('test');
    const type = context.req.header('content-type') ?? '';
    if (!/^application\/json\s*(;|$)/i.test(type)) {
      const detail =
        'expected `application/json`: set the format of the event notification to JSON';
      return refuse(415, 'Unsupported Media Type', detail);
    }
    const event = parseUemEvent(text);
    return typeof event === 'string' ? refuse(400, 'Bad Request', event) : answer(act(event));
  }

  function refuseMethod(context: Context): Response {
    const refusal = refuseStranger(context) ?? refuse(405, 'Method Not Allowed', 'expected POST');
    refusal.headers.set('allow', 'GET, HEAD, POST');
    return refusal;
  }

  return {
    mount(app) {
      const path = `/workspace-one/${cache.source}`;
      app.post(path, receive);
      app.get(path, (context) => refuseStranger(context) ?? answer('test'));
      app.all(path, refuseMethod);
    },
    close: () => queue.close(),
  };
}

function findDevice(cache: PostureCache, event: UemEvent): string | null {
  const deviceId = event.udid === null ? null : canonicalDeviceId(event.udid);
  return cache.findDevice({ uemId: event.uemId, serial: event.serial, deviceId });
}

// Null when there is more of it than allowed, whatever Content-Length says.
async function readBody(request: Request, maxBytes: number): Promise<string | null> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return null;
  if (request.body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
