// Whoever waits for a device is told once when it has left, like by an AbortSignal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Halt, signalOf } from '../../../gateway/edge/halt.ts';

test('it happens once, for the first reason, and everybody who listens is told', () => {
  const halt = new Halt();
  halt.throwIfAborted();
  const told: unknown[] = [];
  halt.addEventListener('abort', () => told.push(['a', halt.reason]));
  halt.addEventListener('abort', () => told.push(['b', halt.aborted]));
  halt.abort('left');
  halt.abort('cut');
  assert.deepEqual(told, [
    ['a', 'left'],
    ['b', true],
  ]);
  assert.throws(
    () => halt.throwIfAborted(),
    (thrown) => thrown === 'left',
  );
});

test('who no longer listens is not told, even when another one sees to that meanwhile', () => {
  const halt = new Halt();
  const told: string[] = [];
  const second = (): void => void told.push('second');
  halt.addEventListener('abort', () => {
    told.push('first');
    halt.removeEventListener('abort', second);
    halt.addEventListener('abort', second);
  });
  halt.addEventListener('abort', second);
  halt.abort('left');
  assert.deepEqual(told, ['first']);
});

test('a real signal follows, also one that comes late', () => {
  const halt = new Halt();
  const signal = signalOf(halt);
  assert.equal(signal.aborted, false);
  halt.abort('left');
  assert.equal(signal.reason, 'left');
  assert.equal(signalOf(halt).reason, 'left');
});
