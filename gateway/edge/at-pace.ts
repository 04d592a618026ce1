// Slows one forwarded exchange to the pace of its device: the answer by back-pressure, the body on its way through.

import { type Readable, Transform } from 'node:stream';
import type { Caller } from './caller.ts';
import type { Pace } from './pace.ts';
import { createValve, drained, isOpen, slow } from './valve.ts';

export function atPace(caller: Caller, pace: Pace | null): Caller {
  if (pace === null) return caller;
  let goOn = (): void => undefined;
  const valve = createValve({ resume: () => goOn() });
  return {
    ...caller,
    body: caller.body === null ? null : slowed(caller.body, pace),
    write(chunk, written) {
      valve.full = !caller.write(chunk, written);
      const waitMs = pace.spend('received', chunk.length);
      if (waitMs > 0) slow(valve, waitMs);
      return isOpen(valve);
    },
    onDrain(listener) {
      goOn = listener;
      caller.onDrain(() => drained(valve));
    },
  };
}

/** Holds one chunk at a time; cut short when the body is. */
function slowed(body: Readable, pace: Pace): Readable {
  let timer: NodeJS.Timeout | undefined;
  const passing = new Transform({
    transform(chunk: Buffer, _, done) {
      const waitMs = pace.spend('sent', chunk.length);
      if (waitMs > 0) timer = setTimeout(done, waitMs, null, chunk);
      else done(null, chunk);
    },
    destroy(error, done) {
      clearTimeout(timer);
      done(error);
    },
  });
  body.once('error', (error) => passing.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) passing.destroy(new Error('the body was cut short'));
  });
  // Whoever carries it may have left already.
  passing.on('error', () => undefined);
  return body.pipe(passing);
}
