// Carries one admitted request to its origin and brings the answer back; every end is an end of both sides.

import { STATUS_CODES } from 'node:http';
import type net from 'node:net';
import type { Reason } from '../decision/reasons.ts';
import type { ForwardTarget } from '../decision/target.ts';
import type { Admitted } from './admit.ts';
import { appField } from './app.ts';
import { atPace } from './at-pace.ts';
import type { Caller } from './caller.ts';
import type { CarryParts } from './connect.ts';
import {
  acceptsTrailers,
  fieldValues,
  type RawFields,
  requestFields,
  responseFields,
  trailerFields,
} from './fields.ts';
import type { HaltSignal } from './halt.ts';
import type { AnswerHead } from './origin-answer.ts';
import { maxWaiting, type OriginBody, type OriginListener } from './origin-exchange.ts';
import type { Origin } from './origins.ts';
import type { OwnParts } from './own.ts';
import type { Pace } from './pace.ts';
import type { Splice } from './splice.ts';
import type { Ended } from './telemetry.ts';
import type { Cut } from './tunnels.ts';

export interface ForwardParts extends CarryParts, OwnParts {
  readonly firstByteMs: () => number;
}

/** A device that wants to change the protocol of its connection (RFC 9110 section 7.8). */
export interface Upgrade {
  /** As they go to the origin, the device's first choice first. */
  readonly protocols: readonly string[];
  /** The origin has agreed to one of them: from here on bytes are copied both ways. */
  splice(agreed: Agreed): Splice;
}

export interface Agreed {
  readonly head: AnswerHead;
  /** What the origin sent behind it. */
  readonly early: Buffer;
  readonly origin: net.Socket;
  readonly idleMs: number;
  readonly pace: Pace | null;
}

export interface Carried {
  readonly caller: Caller;
  /** Aborted when the device leaves. */
  readonly gone: HaltSignal;
  readonly asked: ForwardTarget;
  readonly admitted: Admitted<Origin>;
  readonly upgrade: Upgrade | null;
}

/** A device that has closed its half wants its answer, or has left: only the next byte would tell.
 *  So it is not waited for long (threats R06). */
const endedMs = 3000;

interface Course {
  readonly bytes: { sent: number; received: number };
  /** Something moved. */
  touch(): void;
  /** The answer has begun: from here on the idle limit holds, not that of the first byte. */
  answering(): void;
  /** No whole answer: a refusal while nothing was said yet, else a broken connection (threats H23). */
  fail(reason: Reason): void;
  /** The exchange goes on as a tunnel, which watches its own ends. */
  become(upgrade: Upgrade, head: AnswerHead, early: Buffer): void;
}

export function carry(carried: Carried, parts: ForwardParts): void {
  const { asked, admitted, upgrade } = carried;
  const caller = atPace(carried.caller, admitted.place.pace);
  const course = follow(carried, parts);
  // The device may have left, or the gateway be done with it, in the meantime.
  if (course === null) return;
  const { method, fields, version } = caller;
  const app = appField(parts.policy().identity.app);
  const body = bodyOf(caller, course, app);
  caller.goOn();
  const { name } = parts.answer();
  const sent = requestFields(fields, {
    method,
    authority: asked.authority,
    via: `${version} ${name}`,
    app,
    upgrade: upgrade === null ? null : upgrade.protocols.join(', '),
    trailers: body !== null && body.length === null,
  });
  // A server may insist on it (RFC 9110 section 8.6).
  if (
    body === null &&
    takesContent.has(method) &&
    fieldValues(sent, 'content-length').length === 0
  ) {
    sent.push('content-length', '0');
  }
  admitted.carrier.ask(
    { method, target: asked.path, fields: sent, body },
    answerTo({ ...carried, caller }, course, name),
  );
}

const takesContent: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

function bodyOf(caller: Caller, course: Course, app: string | null): OriginBody | null {
  const { body: content } = caller;
  if (content === null) return null;
  const length = fieldValues(caller.fields, 'content-length')[0];
  return {
    content,
    length: length === undefined ? null : Number(length),
    isWhole: () => caller.bodyIsWhole(),
    trailers: () => trailerFields(caller.trailers(), app),
    sent(bytes) {
      course.bytes.sent += bytes;
      course.touch();
    },
  };
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
  let cut = (why: Cut): void => {
    if (over) return;
    finish(why, null);
    caller.breakOff();
  };

  function halfClosed(): void {
    if (!caller.hasBegun()) silence.limit(Math.min(firstMs, endedMs));
  }
  function letGo(): void {
    over = true;
    silence.stop();
    gone.removeEventListener('abort', left);
    unwatch();
  }
  function say(end: Ended['end'], failure: Reason | null, carriedBytes: Ended['bytes']): void {
    place.release();
    const elapsedMs = parts.now() - admitted.startedAt;
    parts.telemetry.ended({
      id,
      end,
      failure,
      cutBy: place.cutBy(),
      bytes: carriedBytes,
      elapsedMs,
    });
  }
  function finish(end: Ended['end'], failure: Reason | null): void {
    // An event that tells several listeners tells those too that one of them has taken off.
    if (over) return;
    letGo();
    if (end === 'answered') carrier.release();
    else carrier.destroy();
    say(end, failure, bytes);
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
    become(upgrade, head, early) {
      letGo();
      const { pace } = place;
      const spliced = upgrade.splice({ head, early, origin: carrier.socket, idleMs, pace });
      cut = spliced.cut;
      void spliced.ended.then((end) => say(end, null, spliced.bytes));
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
    place.open((why) => cut(why));
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

function answerTo(
  { caller, admitted, upgrade }: Carried,
  course: Course,
  name: string,
): OriginListener {
  const wantsTrailers = caller.version !== '1.0' && acceptsTrailers(caller.fields);
  let trailers = false;
  let waiting = 0;
  const written = (): void => {
    waiting -= 1;
    if (waiting === maxWaiting - 1) admitted.carrier.resume();
  };
  return {
    informational({ version, status, phrase, fields }) {
      course.touch();
      // Whoever expects it has been told to go on by this hop.
      if (status === 100 && fieldValues(caller.fields, 'expect').length > 0) return;
      const via = `${version} ${name}`;
      const kept = responseFields(fields, { status, via, trailers: false });
      caller.inform({ status, phrase: phraseOf(status, phrase), fields: kept, trailers: false });
    },
    begin(head) {
      const { version, status, phrase, fields, framing } = head;
      course.answering();
      trailers = wantsTrailers && framing === 'chunked';
      caller.onDrain(() => {
        course.touch();
        admitted.carrier.resume();
      });
      const kept = responseFields(fields, { status, via: `${version} ${name}`, trailers });
      caller.begin({ status, phrase: phraseOf(status, phrase), fields: kept, trailers });
    },
    body(chunk) {
      course.touch();
      course.bytes.received += chunk.length;
      waiting += 1;
      return caller.write(chunk, written) && waiting < maxWaiting;
    },
    end: (received) => caller.end(trailers ? trailerFields(received, null) : []),
    fail: (reason) => course.fail(reason),
    switched(head, early) {
      if (upgrade === null) course.fail('origin.malformed');
      else if (!agrees(head.fields, upgrade.protocols)) course.fail('origin.upgrade');
      else course.become(upgrade, head, early);
    },
  };
}

/** To one or more of the protocols it was offered, and to nothing else (RFC 9110 section 7.8). */
function agrees(fields: RawFields, offered: readonly string[]): boolean {
  const known = new Set(offered.map((one) => one.toLowerCase()));
  const chosen = fieldValues(fields, 'upgrade').flatMap((value) => value.split(','));
  return chosen.length > 0 && chosen.every((one) => known.has(one.trim().toLowerCase()));
}

/** The origin's words where they are plain text; they mean nothing (RFC 9112 section 4). */
function phraseOf(status: number, phrase: string): string {
  return /^[\t\x20-\x7e]+$/.test(phrase) ? phrase : (STATUS_CODES[status] ?? '');
}
