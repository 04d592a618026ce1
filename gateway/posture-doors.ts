// Opens the doors through which others say that a device may have changed: webhooks of UEMs, and security events.

import type { Hono } from 'hono';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { sourcesOf } from './config/posture-sources.ts';
import { createRateLimiter } from './edge/rate.ts';
import type { PostureCache } from './posture/cache.ts';
import { createDeviceChanges } from './posture/device-changes.ts';
import { parseJamfEvent } from './posture/jamf-event.ts';
import type { EndSessions } from './posture/signals/receiver.ts';
import type { ParseUemEvent } from './posture/uem-event.ts';
import { createUemWebhook, OUTCOMES } from './posture/webhook.ts';
import type { WebhookCredentials } from './posture/webhook-credentials.ts';
import { parseWorkspaceOneEvent } from './posture/workspace-one-event.ts';
import { openReceivers } from './signal-receivers.ts';
import type { Blocks } from './state/blocks.ts';

export interface PostureDoorsOptions {
  readonly loaded: Loaded;
  readonly cache: PostureCache;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly endSessions: EndSessions;
  readonly blocks: Pick<Blocks, 'extend'>;
}

export interface PostureDoors {
  /** Below `/webhooks`. */
  mount(app: Hono): void;
  /** Takes the keys that a reload read. */
  update(loaded: Loaded): void;
  close(): Promise<void>;
}

export function createPostureDoors(options: PostureDoorsOptions): PostureDoors {
  const { cache, log, metrics } = options;
  const { posture } = options.loaded.config;
  const changes = createDeviceChanges({ cache, log });
  const perSecond = posture.maxEvents;
  const rate = { perSecond, burst: 10 * perSecond, maxKeys: 1, now: Date.now };
  const limiter = createRateLimiter(rate);
  const mayCome = () => limiter.take('all');
  const shared = { cache, changes, log, mayCome, now: Date.now };

  const count = metrics.counterBy(
    'zonegate_uem_events_total',
    'Event notifications from the UEM by what became of them.',
    'outcome',
    OUTCOMES,
  );
  const webhooks = webhooksOf(posture).map((webhook) =>
    createUemWebhook({ ...shared, ...webhook, count: (outcome) => count[outcome].inc() }),
  );
  const receivers = openReceivers(options, shared);

  return {
    mount(app) {
      for (const door of [...webhooks, ...receivers.doors]) door.mount(app);
    },
    update: (loaded) => receivers.update(loaded),
    async close() {
      changes.close();
      await receivers.close();
    },
  };
}

interface Webhook {
  readonly path: string;
  readonly source: string;
  readonly credentials: WebhookCredentials;
  readonly parse: ParseUemEvent;
}

const PARSERS = { 'workspace-one': parseWorkspaceOneEvent, jamf: parseJamfEvent } as const;

/** Credentials of its own let nobody speak for another source. */
function webhooksOf(posture: GatewayConfig['posture']): readonly Webhook[] {
  return sourcesOf(posture).flatMap(({ source }) => {
    if (source.kind !== 'workspace-one' && source.kind !== 'jamf') return [];
    const credentials = source.webhook ?? posture.webhook;
    if (credentials === null) return [];
    const { kind, name } = source;
    return [{ path: `/${kind}/${name}`, source: name, credentials, parse: PARSERS[kind] }];
  });
}
