// One worker as the primary sees it: is it there, and does it serve by the configuration in force?

import type { PostureFacts } from '../../gateway/decision/posture.ts';
import type { EgressState } from '../../gateway/edge/egress-health.ts';
import type { DevicePorts } from '../../gateway/gateway.ts';
import type { MetricsSnapshot } from '../../runtime/metrics.ts';
import type { Order, Outcome, PrimaryCalls, WorkerCalls } from './calls.ts';
import type { Usage } from './elsewhere.ts';
import type { WorkerHandle } from './fork.ts';
import { watchPulse } from './pulse.ts';
import { createTalk, type Talk } from './talk.ts';

export type SlotState =
  | { readonly kind: 'starting' }
  | ({ readonly kind: 'in_force' } & DevicePorts)
  | { readonly kind: 'behind'; readonly why: string };

export interface Slot {
  readonly handle: WorkerHandle;
  readonly talk: Talk<WorkerCalls>;
  state(): SlotState;
  /** Tells it what to serve by, and again until it does. Resolves with what came of the first time. */
  order(order: Order): Promise<Outcome>;
  /** It listens to what it is told. */
  isListening(): boolean;
  /** Asks for its metrics; those of the last time when it does not answer. */
  readMetrics(): Promise<void>;
  lastMetrics(): MetricsSnapshot | null;
  close(): void;
}

export interface SlotOptions {
  readonly handle: WorkerHandle;
  readonly facts: (deviceId: string) => Promise<PostureFacts>;
  readonly factsOf: (
    deviceIds: readonly string[],
  ) => Promise<readonly (readonly [string, PostureFacts])[]>;
  readonly onState: (state: SlotState) => void;
  readonly onEgress: (states: readonly EgressState[]) => void;
  readonly onHello: () => void;
  readonly onUsed: (usage: Usage) => void;
  /** It is there, and does nothing any more. */
  readonly onHang: () => void;
  readonly hangMs: number;
}

const followMs = 15_000;
const answerMs = 2000;
const firstRetryMs = 200;
const lastRetryMs = 10_000;

// Of the time after which it hangs.
const beats = 5;
// A start is much work, on a busy machine for long.
const beatsToStart = 30;

export function createSlot(options: SlotOptions): Slot {
  const { handle, facts, factsOf, onState, onEgress } = options;
  let isListening = false;
  let state: SlotState = { kind: 'starting' };
  const hello = Promise.withResolvers<null>();
  // Who waits for it is told; nobody may be waiting.
  hello.promise.catch(() => undefined);
  const talk = createTalk<WorkerCalls, PrimaryCalls>((message) => handle.send(message), {
    hello() {
      isListening = true;
      pulse.heard();
      hello.resolve(null);
      options.onHello();
      return null;
    },
    facts,
    factsOf,
    egress(states) {
      onEgress(states);
      return null;
    },
    used(usage) {
      options.onUsed(usage);
      return null;
    },
  });
  const pulse = watchPulse({
    everyMs: options.hangMs / beats,
    misses: () => (state.kind === 'starting' ? beatsToStart : beats),
    beat() {
      talk.ask('alive', null, null).then(
        () => pulse.heard(),
        () => undefined, // gone, which `onGone` tells
      );
    },
    onStopped: options.onHang,
  });
  handle.onMessage((message) => talk.receive(message));
  let current: Order | null = null;
  let retry: NodeJS.Timeout | null = null;
  let metrics: MetricsSnapshot | null = null;

  async function follow(order: Order): Promise<Outcome> {
    await hello.promise;
    try {
      return await talk.ask('serve', order, followMs);
    } catch {
      return { kind: 'behind', why: 'it does not answer' };
    }
  }
  async function give(order: Order, retryMs: number): Promise<Outcome> {
    const outcome = await follow(order);
    // A newer order has been given meanwhile: its outcome counts.
    if (order !== current) return outcome;
    if (outcome.kind === 'cannot_listen') return outcome;
    state = outcome;
    if (outcome.kind === 'behind') {
      const again = () => void give(order, Math.min(retryMs * 2, lastRetryMs));
      retry = setTimeout(again, retryMs);
    }
    onState(state);
    return outcome;
  }
  function forgetRetry(): void {
    if (retry !== null) clearTimeout(retry);
    retry = null;
  }

  return {
    handle,
    talk,
    state: () => state,
    isListening: () => isListening,
    order(order) {
      forgetRetry();
      current = order;
      return give(order, firstRetryMs);
    },
    async readMetrics() {
      if (!isListening) return;
      try {
        metrics = await talk.ask('metrics', null, answerMs);
      } catch {
        // Gone or too busy: what it counted until the last time is the best there is.
      }
    },
    lastMetrics: () => metrics,
    close() {
      current = null;
      forgetRetry();
      pulse.close();
      hello.reject(new Error('the worker is gone'));
      talk.close();
    },
  };
}
