// What the gateway knows of devices and must not forget: opened before anybody is served, kept in step with other gateways.

import type { Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { StateChange, Store } from '../../runtime/state/state.ts';
import { placeOf } from '../../runtime/state/state-error.ts';
import { type Blocks, blocksTopic, openBlocks } from './blocks.ts';
import { createPostureRows, type PostureRows, postureTopic } from './posture-rows.ts';
import { migrations, type Tables } from './tables.ts';

export interface DeviceStateOptions {
  readonly store: Store;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
}

/** Who takes over what other gateways have learnt of devices. */
export interface PosturePeer {
  /** By device: its newest report, or that there is none any more. */
  learnt(deviceIds: readonly string[]): void;
  /** Anything may have changed. */
  missed(): void;
}

export interface DeviceState {
  readonly blocks: Blocks;
  readonly posture: PostureRows;
  follow(peer: PosturePeer): void;
  close(): Promise<void>;
}

/** Fails with a StateError: a gateway that does not know who is blocked serves nobody. */
export async function openDeviceState(options: DeviceStateOptions): Promise<DeviceState> {
  const { store, log } = options;
  const state = await store.open<Tables>({ versions: 'zonegate_schema', migrations });
  const watch = watchTrouble(options);
  const blocks = await openBlocks({
    state,
    log,
    now: Date.now,
    onTrouble: watch.written('blocks'),
  });
  const posture = createPostureRows({ state, onTrouble: watch.written('posture') });
  watch.measure({ pending: () => posture.pending(), blocks: () => blocks.list.count() });
  let peer: PosturePeer | null = null;
  const missed = (): void => {
    watch.said('listen', null);
    void blocks.reread(null);
    peer?.missed();
  };
  state.listen({
    changed({ topic, keys }: StateChange) {
      if (topic === blocksTopic) void blocks.reread(keys);
      if (topic === postureTopic) peer?.learnt(keys);
    },
    lost: (why) => watch.said('listen', `changes of other gateways do not arrive: ${why}`),
    missed,
  });
  return {
    blocks,
    posture,
    follow(one) {
      peer = one;
    },
    async close() {
      await blocks.close();
      await posture.close();
    },
  };
}

/** Says once that the store fails, and once that it works again. */
function watchTrouble({ log, metrics, readiness, store }: DeviceStateOptions) {
  const troubles = new Map<string, string>();
  const help = 'Transactions of the state store, by result.';
  const writes = metrics.counterBy('zonegate_state_writes_total', help, 'result', ['ok', 'failed']);
  metrics.gauge('zonegate_state_up', 'Whether the state store can be written and heard.', () =>
    troubles.size === 0 ? 1 : 0,
  );
  readiness.set('state', 'ok');
  const place = `state ${placeOf(store.address)}: `;
  function said(part: string, trouble: string | null): void {
    const before = troubles.get(part);
    if (trouble === null) troubles.delete(part);
    else troubles.set(part, trouble);
    const [first] = troubles.values();
    // A gateway that goes on with what it knows is better than none, and no other gateway would do better.
    readiness.set('state', first === undefined ? 'ok' : `ok: ${first.replace(place, '')}`);
    const event = { 'event.name': 'zonegate.state', 'zonegate.part': part };
    if (trouble === null && before !== undefined) log.info(event, 'the state store works again');
    if (trouble === null || before !== undefined) return;
    log.error({ ...event, 'error.message': trouble }, 'the state store fails; it is tried again');
  }
  return {
    said,
    written: (part: string) => (error: Error | null) => {
      writes[error === null ? 'ok' : 'failed'].inc();
      said(part, error === null ? null : error.message);
    },
    measure(read: { readonly pending: () => number; readonly blocks: () => number }): void {
      metrics.gauge(
        'zonegate_state_pending_reports',
        'Posture reports that wait to be written to the state store.',
        read.pending,
      );
      metrics.gauge('zonegate_devices_blocked', 'Devices that are blocked.', read.blocks);
    },
  };
}
