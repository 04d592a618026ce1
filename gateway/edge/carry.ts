// Carries one admitted request to its origin with undici and brings the answer back; every end is an end of both sides.

import { STATUS_CODES } from 'node:http';
import type { Dispatcher } from 'undici';
import type { FailureReason, Reason } from '../decision/reasons.ts';
import type { ForwardTarget } from '../decision/target.ts';
import { systemCode } from '../errors.ts';
import type { Admitted } from './admit.ts';
import type { Caller } from './caller.ts';
import type { CarryParts } from './connect.ts';
import { requestFields, responseFields } from './fields.ts';
import type { Origin } from './origins.ts';
import type { Ended } from './telemetry.ts';

export interface ForwardParts extends CarryParts {
  readonly firstByteMs: () => number;
}

export interface Carried {
  readonly caller: Caller;
  /** Aborted when the device leaves. */
  readonly gone: AbortSignal;
  readonly asked: ForwardTarget;
  readonly admitted: Admitted<Origin>;
}

/** A device that has closed its half wants its answer, or has left: only the next byte would tell.
 *  So it is not waited for long (threats R06). */
const endedMs = 3000;

/** More than any origin needs; each one starts the wait for the final answer anew (threats H26). */
const maxInformational = 16;

interface Course {
  readonly bytes: { sent: number; received: number };
  /** Something moved. */
  touch(): void;
  /** The answer has begun: from here on the idle limit holds, not that of the first byte. */
  answering(): void;
  /** No whole answer: a refusal while nothing was said yet, else a broken connection (threats H23). */
  fail(reason: Reason): void;
}

export function carry(carried: Carried, parts: ForwardParts): void {
  const { caller, asked, admitted } = carried;
  const course = follow(carried, parts);
  // The device may have left, or the gateway be done with it, in the meantime.
  if (course === null) return;
  const { method, fields, version, body } = caller;
  body?.on('data', (chunk: Buffer) => {
    course.bytes.sent += chunk.length;
    course.touch();
  });
  body?.pause();
  caller.goOn();
  const { name } = parts.answer();
  const headers = requestFields(fields, {
    method,
    authority: asked.authority,
    via: `${version} ${name}`,
  });
  admitted.carrier.client.dispatch(
    { method: method as Dispatcher.HttpMethod, path: asked.path, headers, body },
    answerTo(caller, course, name),
  );
}

/** Watches everything that can end the exchange, and gives the place back exactly once. */
function follow(carried: Carried, parts: ForwardParts): Course | null {
  const { caller, gone, admitted } = carried;
  const { place, id, carrier, tunnel } = admitted;
  const bytes = { sent: 0, received: 0 };
  const idleMs = tunnel.idleMs ?? parts.idleMs();
  const firstMs = Math.min(idleMs, parts.firstByteMs());
  const silence = watchSilence(() => {
    // Whoever has to move next is the one who is late: the device with its body, else the origin.
    const device = caller.halfClosed() || caller.owesBody();
    course.fail(device ? 'request.abandoned' : 'origin.timeout');
  });
  let over = false;

  function halfClosed(): void {
    if (!caller.hasBegun()) silence.limit(Math.min(firstMs, endedMs));
  }
  function finish(end: Ended['end'], failure: Reason | null): void {
    over = true;
    silence.stop();
    gone.removeEventListener('abort', left);
    unwatch();
    place.release();
    if (end === 'answered') carrier.release();
    else carrier.destroy();
    const elapsedMs = parts.now() - admitted.startedAt;
    parts.telemetry.ended({ id, end, failure, cutBy: place.cutBy(), bytes, elapsedMs });
  }
  function left(): void {
    finish('device_error', null);
  }
  const course: Course = {
    bytes,
    touch: silence.touch,
    answering: () => silence.limit(idleMs),
    fail(reason) {
      if (over) return;
      finish(reason === 'request.abandoned' ? 'device_error' : 'origin_error', reason);
      if (caller.hasBegun()) caller.breakOff();
      else caller.refuse(reason, id, parts.answer());
    },
  };
  silence.limit(firstMs);
  if (caller.halfClosed()) halfClosed();
  const unwatch = caller.watch({
    halfClosed,
    over: (whole) => finish(whole ? 'answered' : 'device_error', null),
  });
  gone.addEventListener('abort', left);
  if (gone.aborted) left();
  else {
    place.open(() => {
      if (over) return;
      finish('cut', null);
      caller.breakOff();
    });
  }
  return over ? null : course;
}

/** One timer for both directions: nothing moved for so long. */
function watchSilence(late: () => void) {
  let timer: NodeJS.Timeout | undefined;
  return {
    limit(ms: number): void {
      clearTimeout(timer);
      timer = setTimeout(late, ms);
    },
    touch: () => void timer?.refresh(),
    stop(): void {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

function answerTo(caller: Caller, course: Course, name: string): Dispatcher.DispatchHandler {
  let informational = 0;
  return {
    onRequestStart(controller) {
      caller.onDrain(() => {
        course.touch();
        controller.resume();
      });
    },
    onResponseStart(_, status, headers, statusText) {
      if (status < 200) {
        course.touch();
        // They end here: Expect has been answered, and 101 was not asked for.
        informational += 1;
        if (informational > maxInformational) course.fail('origin.malformed');
        return;
      }
      course.answering();
      caller.begin(status, phraseOf(status, statusText), responseFields(headers, name));
    },
    onResponseData(controller, chunk) {
      course.touch();
      course.bytes.received += chunk.length;
      if (!caller.write(chunk)) controller.pause();
    },
    onResponseEnd() {
      caller.end();
    },
    onResponseError(_, error) {
      course.fail(failureOf(error));
    },
  };
}

/** The origin's words where they are plain text; they mean nothing (RFC 9112 section 4). */
function phraseOf(status: number, statusText = ''): string {
  return /^[\t\x20-\x7e]+$/.test(statusText) ? statusText : (STATUS_CODES[status] ?? '');
}

function failureOf(error: Error): FailureReason {
  switch (systemCode(error)) {
    case 'UND_ERR_SOCKET':
      // undici says the same of an answer that makes no sense, an unasked 101 for example.
      return error.message === 'other side closed' ? 'origin.incomplete' : 'origin.malformed';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'origin.incomplete';
    default:
      return 'origin.malformed';
  }
}
