// The door for a UEM's event notifications: a hint to ask the UEM again, and never more than that.

import type { Context, Hono } from 'hono';
import { problem } from '../../runtime/admin.ts';
import type { Log } from '../../runtime/log.ts';
import type { PostureCache } from './cache.ts';
import type { DeviceChanges } from './device-changes.ts';
import { createRepeatCheck } from './repeat-check.ts';
import { readBody } from './request-body.ts';
import type { ParseUemEvent, UemEvent } from './uem-event.ts';
import { createSenderCheck, type WebhookCredentials } from './webhook-credentials.ts';

export interface UemWebhookOptions {
  /** Below `/webhooks`, for example `/workspace-one/uem`. */
  readonly path: string;
  /** Whose events they are: its numbers name the devices. */
  readonly source: string;
  readonly credentials: WebhookCredentials;
  readonly parse: ParseUemEvent;
  readonly cache: Pick<PostureCache, 'findDevice'>;
  readonly changes: DeviceChanges;
  readonly log: Log;
  readonly count: (outcome: Outcome) => void;
  /** False while there are more events than anybody sends who means well. */
  readonly mayCome: () => boolean;
  readonly now: () => number;
  readonly maxBodyBytes?: number;
}

export interface UemWebhook {
  mount(app: Hono): void;
}

export const OUTCOMES = [
  'refresh',
  'repeated',
  'unknown_device',
  'test',
  'refused',
  'full',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export function createUemWebhook(options: UemWebhookOptions): UemWebhook {
  const { cache, changes, count, log, source } = options;
  const { maxBodyBytes = 65_536 } = options;
  const sender = createSenderCheck(options.credentials);
  const repeats = createRepeatCheck(options.now);

  // What the event claims is not looked at: it may be forged, old or wrong (threats P12). The UEM is asked.
  function act(event: UemEvent): Exclude<Outcome, 'refused'> {
    if (event.devices.length === 0) return 'test';
    if (repeats.isRepeated(event.key)) return 'repeated';
    // A device that never came here has no report that could be wrong.
    const devices = event.devices
      .map((hint) => cache.findDevice({ ...hint, source }))
      .filter((deviceId) => deviceId !== null);
    if (devices.length === 0) return 'unknown_device';
    if (!changes.announce(devices)) {
      repeats.forget(event.key); // the sender is told to try again
      return 'full';
    }
    for (const deviceId of devices) {
      log.info(
        { 'device.id': deviceId, 'zonegate.event': event.kind },
        'the UEM says a device changed',
      );
    }
    return 'refresh';
  }

  function answer(outcome: Exclude<Outcome, 'refused'>): Response {
    count(outcome);
    if (outcome !== 'full') return Response.json({ result: outcome });
    const full = problem(503, 'Service Unavailable', 'too many changed devices are waiting');
    full.headers.set('retry-after', '30');
    return full;
  }

  function refuse(status: number, title: string, detail: string): Response {
    count('refused');
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
    if (!options.mayCome()) {
      const slower = refuse(
        429,
        'Too Many Requests',
        'more events than `posture.maxEvents` a second',
      );
      slower.headers.set('retry-after', '5');
      return slower;
    }
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
    const event = options.parse(text);
    return typeof event === 'string' ? refuse(400, 'Bad Request', event) : answer(act(event));
  }

  function refuseMethod(context: Context): Response {
    const refusal = refuseStranger(context) ?? refuse(405, 'Method Not Allowed', 'expected POST');
    refusal.headers.set('allow', 'GET, HEAD, POST');
    return refusal;
  }

  return {
    mount(app) {
      app.post(options.path, receive);
      app.get(options.path, (context) => refuseStranger(context) ?? answer('test'));
      app.all(options.path, refuseMethod);
    },
  };
}
