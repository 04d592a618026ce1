// Opens a door for each configured sender of security events, with its keys and what is counted of it.

import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { sourcesOf } from './config/posture-sources.ts';
import type { SignalConfig } from './config/signals.ts';
import { createExchange } from './posture/exchange.ts';
import { createFetchedKeys, fixedKeys, type IssuerKeys } from './posture/signals/issuer-keys.ts';
import {
  createReceiver,
  type EndSessions,
  OUTCOMES,
  type Receiver,
  type ReceiverOptions,
} from './posture/signals/receiver.ts';
import type { StreamStatus } from './posture/signals/security-event.ts';
import type { SubjectRow } from './posture/signals/subject.ts';
import type { Blocks } from './state/blocks.ts';

/** What all doors have in common. */
export type Shared = Pick<ReceiverOptions, 'cache' | 'changes' | 'log' | 'mayCome' | 'now'>;

export interface Receivers {
  readonly doors: readonly Receiver[];
  /** Takes the keys that a reload read. */
  update(loaded: Loaded): void;
  close(): Promise<void>;
}

export interface ReceiversOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly endSessions: EndSessions;
  readonly blocks: Pick<Blocks, 'extend'>;
}

const MAX_KEYS_BYTES = 262_144;

export function openReceivers(options: ReceiversOptions, shared: Shared): Receivers {
  const { loaded, metrics, endSessions, blocks } = options;
  const configured = loaded.config.posture.signals;
  const counter = metrics.counterOf(
    'zonegate_signal_events_total',
    'Security events by sender (`signal`) and by what became of them (`outcome`).',
    ['signal', 'outcome'],
  );
  const streams = new Map<string, StreamStatus>();
  metrics.gaugeOf(
    'zonegate_signal_stream_enabled',
    'Whether a sender of security events (`signal`) says that its stream runs; 1 until it says otherwise.',
    { labels: ['signal'], join: 'min' },
    () =>
      configured.map(({ name }) => {
        const isEnabled = (streams.get(name) ?? 'enabled') === 'enabled';
        return { labels: { signal: name }, value: isEnabled ? 1 : 0 };
      }),
  );
  const keys: OpenKeys[] = [];
  const doors = configured.map((signal) => {
    const own = openKeys(signal, options);
    keys.push(own);
    const { name, token, issuer, audience, algorithms, maxAge: maxAgeMs } = signal;
    const counters = Object.fromEntries(
      OUTCOMES.map((outcome) => [outcome, counter({ signal: name, outcome })]),
    );
    for (const one of Object.values(counters)) one.inc(0);
    return createReceiver({
      ...shared,
      name,
      token,
      sender: { issuer, audience, algorithms },
      keys: () => own.current(),
      subjects: subjectsOf(signal, loaded.config.posture),
      maxAgeMs,
      doubtWhenSilent: signal.whenSilent === 'refuse',
      endSessions,
      block: blockerFor(signal, blocks),
      count: (outcome) => counters[outcome]?.inc(),
      onStream: (status) => void streams.set(name, status),
    });
  });
  return {
    doors,
    update(next: Loaded) {
      for (const one of keys) one.replace(next);
    },
    async close() {
      for (const one of keys) await one.close();
    },
  };
}

function blockerFor({ name, blockFor }: SignalConfig, blocks: Pick<Blocks, 'extend'>) {
  if (blockFor === null) return null;
  return async (deviceId: string, why: string | null): Promise<void> => {
    const since = Date.now();
    const reason = why ?? 'its session was revoked';
    const by = `security event of ${name}`;
    await blocks.extend({ deviceId, reason, by, since, until: since + blockFor });
  };
}

interface OpenKeys {
  current(): IssuerKeys;
  replace(loaded: Loaded): void;
  close(): Promise<void>;
}

function openKeys({ name, keys }: SignalConfig, { loaded, log }: ReceiversOptions): OpenKeys {
  const files = loaded.signals.get(name);
  if ('url' in keys) {
    const ca = files?.authority ?? null;
    const exchange = createExchange({ ca, maxAnswerBytes: MAX_KEYS_BYTES });
    const fetched = createFetchedKeys({
      url: keys.url,
      exchange,
      deadlineMs: loaded.config.posture.timeout,
      now: Date.now,
      onTrouble(why) {
        const at = { 'event.name': 'zonegate.signal', 'zonegate.signal': name };
        log.warn(at, `the keys of a sender of security events cannot be fetched: ${why}`);
      },
    });
    return { current: () => fetched, replace: () => undefined, close: () => exchange.close() };
  }
  let current = fixedKeys(files?.keys ?? { keys: [] });
  return {
    current: () => current,
    replace(next) {
      // Another sender of the same name waits for a restart with everything else about it.
      const set = next.signals.get(name)?.keys ?? null;
      if (set !== null) current = fixedKeys(set);
    },
    close: () => Promise.resolve(),
  };
}

/** `iss_sub` means names of the sender's own issuer, and numbers are those of the first source, unless said otherwise. */
function subjectsOf(
  { subjects, issuer }: SignalConfig,
  posture: GatewayConfig['posture'],
): readonly SubjectRow[] {
  const first = sourcesOf(posture)[0]?.source.name ?? '';
  return subjects.map((row) => ({
    ...row,
    issuer: row.issuer ?? issuer,
    source: row.source ?? first,
  }));
}
