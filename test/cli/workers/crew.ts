// Workers without processes: a fork whose workers a test plays by hand.

import { PassThrough } from 'node:stream';
import type { Order, Outcome, PrimaryCalls, WorkerCalls } from '../../../cli/workers/calls.ts';
import type { Usage } from '../../../cli/workers/elsewhere.ts';
import type { WorkerHandle } from '../../../cli/workers/fork.ts';
import { createTalk, type Talk } from '../../../cli/workers/talk.ts';
import type { BlockChange } from '../../../gateway/block-list.ts';
import { createMetrics } from '../../../runtime/metrics.ts';

export interface PlayedWorker {
  readonly id: number;
  readonly talk: Talk<PrimaryCalls>;
  readonly orders: readonly Order[];
  /** Devices it was told of. */
  readonly changed: readonly string[];
  /** What it was told of blocks. */
  readonly blocks: readonly BlockChange[];
  readonly output: PassThrough;
  /** What it was told of the others' use of limits. */
  readonly heard: readonly Usage[];
  /** Answers nothing any more whether it is alive. */
  hang(): void;
  die(how: string): void;
}

export interface Fork {
  (): WorkerHandle;
  readonly workers: readonly PlayedWorker[];
}

const row = (worker: number) => ({
  id: `tunnel-${worker}`,
  device_id: 'device-good',
  target: 'www.example.com:443',
  address: '192.0.2.1',
  app: null,
  egress_address: '198.51.100.1',
  opened_at: '2026-01-01T00:00:00.000Z',
});

export type Follow = (order: Order, worker: number) => Outcome | Promise<Outcome>;

export const served: Follow = () => ({
  kind: 'in_force',
  port: 8443,
  http1Port: null,
  appPorts: [],
  pacPort: null,
});

export function createFork(follow: Follow): Fork {
  const workers: PlayedWorker[] = [];
  const fork = (): WorkerHandle => {
    const id = workers.length + 1;
    const orders: Order[] = [];
    const changed: string[] = [];
    const blocks: BlockChange[] = [];
    const heard: Usage[] = [];
    let isHanging = false;
    const output = new PassThrough();
    const gone = Promise.withResolvers<string>();
    let receive: (message: unknown) => void = () => undefined;
    const talk = createTalk<PrimaryCalls, WorkerCalls>(
      (message) => setImmediate(() => receive(JSON.parse(JSON.stringify(message)))),
      {
        serve(order) {
          orders.push(order);
          return follow(order, id);
        },
        alive: () => (isHanging ? new Promise<null>(() => undefined) : null),
        usedElsewhere(usage) {
          heard.push(usage);
          return null;
        },
        metrics: () => createMetrics().snapshot(),
        tunnels: () => [row(id)],
        drain: () => null,
        protect: () => null,
        endSessions: () => [],
        postureChanged(deviceId) {
          changed.push(deviceId);
          return null;
        },
        blocksChanged(change) {
          blocks.push(change);
          return null;
        },
        close() {
          gone.resolve('exit code 0');
          return null;
        },
      },
    );
    const hang = () => {
      isHanging = true;
    };
    workers.push({ id, talk, orders, changed, blocks, heard, output, hang, die: gone.resolve });
    return {
      id,
      pid: null,
      output,
      send: (message) => {
        setImmediate(() => talk.receive(JSON.parse(JSON.stringify(message))));
      },
      onMessage(listener) {
        receive = listener;
        talk.tell('hello', null);
      },
      onGone: (listener) => void gone.promise.then(listener),
      kill: () => gone.resolve('SIGKILL'),
    };
  };
  return Object.assign(fork, { workers });
}
