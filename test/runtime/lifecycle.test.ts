// How a process ends, and how it reloads, told by signals that the test plays.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { type Part, runUntilSignal } from '../../runtime/lifecycle.ts';
import { createLog } from '../../runtime/log.ts';
import { createReadiness } from '../../runtime/readiness.ts';

function run(
  parts: readonly Part[],
  options: { drainMs?: number; reload?: () => Promise<void> } = {},
) {
  const signals = new EventEmitter();
  const readiness = createReadiness();
  readiness.set('rules', 'ok');
  const said: string[] = [];
  const lines: string[] = [];
  const exitCode = runUntilSignal({
    parts,
    readiness,
    signals,
    drainMs: options.drainMs ?? 60_000,
    reload: options.reload ?? (() => Promise.resolve()),
    log: createLog({
      level: 'info',
      secrets: [],
      stream: { write: (line) => void lines.push(line) },
    }),
    say: (text) => void said.push(text),
  });
  return { signals, readiness, said, lines, exitCode };
}

function recorder() {
  const steps: string[] = [];
  const part = (name: string, drain?: (signal: AbortSignal) => Promise<void>): Part => ({
    name,
    drain: async (signal) => {
      steps.push(`drain ${name}`);
      await drain?.(signal);
    },
    close: () => {
      steps.push(`close ${name}`);
      return Promise.resolve();
    },
  });
  return { steps, part };
}

// A drain that ends only when it is told to stop waiting, and says when it has begun.
function stubborn() {
  const begun = Promise.withResolvers<void>();
  const drain = (signal: AbortSignal) => {
    begun.resolve();
    return new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
    });
  };
  return { begun: begun.promise, drain };
}

test('a signal drains every part in order, then closes them, and the code is 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const { steps, part } = recorder();
    const { signals, exitCode } = run([part('listener'), part('tunnels')]);
    signals.emit(signal);
    assert.equal(await exitCode, 0);
    assert.deepEqual(steps, ['drain listener', 'drain tunnels', 'close listener', 'close tunnels']);
    assert.deepEqual(signals.eventNames(), []);
  }
});

test('while draining the process is not ready', async () => {
  const { begun, drain } = stubborn();
  const { signals, readiness, exitCode } = run([recorder().part('tunnels', drain)]);
  assert.equal(readiness.report().ready, true);
  signals.emit('SIGTERM');
  await begun;
  assert.equal(readiness.report().checks['lifecycle'], 'draining before shutdown');
  assert.equal(readiness.report().ready, false);
  signals.emit('SIGTERM');
  await exitCode;
});

test('a person who presses Ctrl-C is told how to stop at once', async () => {
  const { signals, said, exitCode } = run([]);
  signals.emit('SIGINT');
  await exitCode;
  assert.deepEqual(said, ['draining, again to stop now']);
});

test('a second signal ends the drain, closes everything, and gives its code', async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { begun, drain } = stubborn();
    const { steps, part } = recorder();
    const { signals, exitCode } = run([part('tunnels', drain), part('admin')]);
    signals.emit('SIGTERM');
    await begun;
    signals.emit(signal);
    assert.equal(await exitCode, code);
    assert.deepEqual(steps, ['drain tunnels', 'close tunnels', 'close admin']);
  }
});

test('the drain ends at its limit, which is no failure', async () => {
  const never = () => new Promise<void>(() => {});
  const { steps, part } = recorder();
  const { signals, exitCode } = run([part('tunnels', never), part('admin')], { drainMs: 1 });
  signals.emit('SIGTERM');
  assert.equal(await exitCode, 0);
  assert.deepEqual(steps, ['drain tunnels', 'close tunnels', 'close admin']);
});

test('a part that never closes can still be left by another signal', async () => {
  const closing = Promise.withResolvers<void>();
  const stuck = () => {
    closing.resolve();
    return new Promise<void>(() => {});
  };
  const { signals, exitCode } = run([{ name: 'state', close: stuck }]);
  signals.emit('SIGTERM');
  await closing.promise;
  signals.emit('SIGINT');
  assert.equal(await exitCode, 130);
});

test('a part that fails to stop is logged and keeps no other from stopping', async () => {
  const { steps, part } = recorder();
  const broken = { name: 'broken', close: () => Promise.reject(new Error('cannot close')) };
  const { signals, lines, exitCode } = run([broken, part('admin')]);
  signals.emit('SIGTERM');
  assert.equal(await exitCode, 0);
  assert.deepEqual(steps, ['drain admin', 'close admin']);
  assert.match(lines.join(''), /"part":"broken".*cannot close/);
});

test('SIGHUP reloads, one at a time, and any number meanwhile lead to one more', async () => {
  const begun: PromiseWithResolvers<void>[] = [];
  let reloads = 0;
  const twice = Promise.withResolvers<void>();
  const reload = () => {
    reloads++;
    if (reloads === 2) twice.resolve();
    const current = Promise.withResolvers<void>();
    begun.push(current);
    return current.promise;
  };
  const { signals, exitCode } = run([], { reload });
  for (let i = 0; i < 3; i++) signals.emit('SIGHUP');
  assert.equal(reloads, 1);
  begun[0]?.resolve();
  await twice.promise;
  begun[1]?.resolve();
  signals.emit('SIGTERM');
  await exitCode;
  assert.equal(reloads, 2);
});

test('a failed reload is logged and the process goes on', async () => {
  const { signals, lines, exitCode } = run([], {
    reload: () => Promise.reject(new Error('bad file')),
  });
  signals.emit('SIGHUP');
  signals.emit('SIGTERM');
  assert.equal(await exitCode, 0);
  assert.match(lines.join(''), /reload failed; what was in force stays in force/);
});
