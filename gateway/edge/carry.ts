// Carries one admitted request to its origin with undici and brings the answer back; every end is an end of both sides.

import { STATUS_CODES } from 'node:http';
import type { Dispatcher } from 'undici';
import type { FailureReason, Reason } from '../decision/reasons.ts';
import type { ForwardTarget } from '../decision/target.ts';
import { systemCode } from '../errors.ts';
import type { Admitted } from './admit.ts';
import { refuseExchange } from './answer.ts';
import type { CarryParts } from './connect.ts';
import type { DeviceConnection } from './connection.ts';
import { requestFields, responseFields } from './fields.ts';
import type { Origin } from './origins.ts';
import { expectsContinue, hasContent } from './request-head.ts';
import type { Ended } from './telemetry.ts';
import type { Exchange } from './turns.ts';

export interface ForwardParts extends CarryParts {
  readonly firstByteMs: () => number;
}

export interface Carried {
  readonly exchange: Exchange;
  readonly connection: DeviceConnection;
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
  const { request, response } = carried.exchange;
  const { carrier } = carried.admitted;
  const course = follow(carried, parts);
  // The device may have left, or the gateway be done with it, in the meantime.
  if (course === null) return;
  const body = hasContent(request) ? request : null;
  body?.on('data', (chunk: Buffer) => {
    course.bytes.sent += chunk.length;
    course.touch();
  });
  body?.pause();
  if (expectsContinue(request)) response.writeContinue();
  carrier.client.dispatch(
    {
      method: request.method as Dispatcher.HttpMethod,
      path: carried.asked.path,
      headers: requestFields(request.rawHeaders, {
        method: request.method ?? '',
        authority: carried.asked.authority,
        via: `${request.httpVersion} ${parts.answer().name}`,
      }),
      body,
    },
    answerTo(carried, course, parts.answer().name),
  );
}

/** Watches everything that can end the exchange, and gives the place back exactly once. */
function follow(carried: Carried, parts: ForwardParts): Course | null {
  const { exchange, connection, admitted } = carried;
  const { request, response } = exchange;
  const { place, id, carrier, tunnel } = admitted;
  const bytes = { sent: 0, received: 0 };
  const { socket } = request;
  const idleMs = tunnel.idleMs ?? parts.idleMs();
  const firstMs = Math.min(idleMs, parts.firstByteMs());
  const silence = watchSilence(() => {
    // Whoever has to move next is the one who is late: the device with its body, else the origin.
    const device = socket.readableEnded || !(request.complete || request.isPaused());
    course.fail(device ? 'request.abandoned' : 'origin.timeout');
  });
  let over = false;

  function ended(): void {
    if (!response.headersSent) silence.limit(Math.min(firstMs, endedMs));
  }
  function finish(end: Ended['end'], failure: Reason | null): void {
    over = true;
    silence.stop();
    connection.gone.removeEventListener('abort', left);
    response.off('close', closed);
    socket.off('end', ended);
    place.release();
    const elapsedMs = parts.now() - admitted.startedAt;
    parts.telemetry.ended({ id, end, failure, cutBy: place.cutBy(), bytes, elapsedMs });
  }
  function left(): void {
    carrier.destroy();
    finish('device_error', null);
  }
  function closed(): void {
    if (response.writableFinished) finish('answered', null);
    else left();
  }
  const course: Course = {
    bytes,
    touch: silence.touch,
    answering: () => silence.limit(idleMs),
    fail(reason) {
      if (over) return;
      finish(reason === 'request.abandoned' ? 'device_error' : 'origin_error', reason);
      carrier.destroy();
      if (response.headersSent) socket.destroy();
      else refuseExchange(exchange, reason, id, parts.answer());
    },
  };
  silence.limit(firstMs);
  if (socket.readableEnded) ended();
  response.on('close', closed);
  socket.on('end', ended);
  connection.gone.addEventListener('abort', left);
  if (connection.gone.aborted) left();
  else {
    place.open(() => {
      if (over) return;
      carrier.destroy();
      finish('cut', null);
      socket.destroy();
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

function answerTo(carried: Carried, course: Course, name: string): Dispatcher.DispatchHandler {
  const { request, response } = carried.exchange;
  let informational = 0;
  return {
    onRequestStart(controller) {
      response.on('drain', () => {
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
      // What is left of a body nobody wants is not waited for (threats R03).
      if (!request.complete) response.shouldKeepAlive = false;
      response.writeHead(status, phraseOf(status, statusText), responseFields(headers, name));
      // A head alone, before a slow body, is worth having. `flushHeaders` would encode it as UTF-8.
      response.write(Buffer.alloc(0));
    },
    onResponseData(controller, chunk) {
      course.touch();
      course.bytes.received += chunk.length;
      if (!response.write(chunk)) controller.pause();
    },
    onResponseEnd() {
      response.end();
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
