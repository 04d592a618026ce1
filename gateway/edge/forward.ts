// Absolute-form requests: admit each one, carry it to the origin with undici, bring the answer back.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Dispatcher } from 'undici';
import type { FailureReason, Reason } from '../decision/reasons.ts';
import { type ForwardTarget, parseForwardTarget } from '../decision/target.ts';
import { systemCode } from '../errors.ts';
import { type Admitted, admit, type Reached, type Way } from './admit.ts';
import { answerRefusal } from './answer.ts';
import type { CarryParts } from './connect.ts';
import { connectionOf } from './connection.ts';
import { countField, isLoop, requestFields, responseFields } from './fields.ts';
import { type Origin, originOf } from './origins.ts';

export interface ForwardParts extends CarryParts {
  readonly firstByteMs: () => number;
}

export async function handleForward(
  request: IncomingMessage,
  response: ServerResponse,
  parts: ForwardParts,
): Promise<void> {
  const socket = request.socket as TLSSocket;
  const connection = connectionOf(socket, parts.readPeer);
  const parsed = parseRequest(request, parts.answer().name);
  if (typeof parsed === 'string') {
    parts.telemetry.malformed(parsed, connection.clientAddress, request.method ?? '');
    return refuse(request, response, parsed, randomUUID(), parts);
  }
  const method = request.method ?? 'GET';
  const asked = { kind: 'forward', method, target: parsed.target, connection } as const;
  const admitted = await admit(asked, parts, (way) => reachOrigin(socket, way, parsed, parts));
  if (!admitted.ok) return refuse(request, response, admitted.reason, admitted.id, parts);
  carry(request, response, parsed, admitted, parts);
}

function parseRequest(request: IncomingMessage, name: string): ForwardTarget | Reason {
  const parsed = parseForwardTarget(request.url ?? '');
  if (typeof parsed === 'string') return parsed;
  if (countField(request.rawHeaders, 'host') > 1) return 'request.malformed';
  // Nothing is reflected (threats H19).
  if (request.method === 'TRACE' || request.method === 'TRACK') return 'request.method';
  return isLoop(request.rawHeaders, name) ? 'request.loop' : parsed;
}

/** A kept connection serves the same device connection only, and only for the same judged addresses,
 *  so no byte of one answer can reach another device (threats S08, H24). */
async function reachOrigin(
  socket: TLSSocket,
  way: Way,
  asked: ForwardTarget,
  parts: ForwardParts,
): Promise<Reached<Origin>> {
  return await originOf(socket, way, `http://${asked.authority}`, {
    reach: parts.reach,
    firstByteMs: parts.firstByteMs(),
    idleMs: way.tunnel.idleMs ?? parts.idleMs(),
  });
}

function carry(
  request: IncomingMessage,
  response: ServerResponse,
  asked: ForwardTarget,
  admitted: Admitted<Origin>,
  parts: ForwardParts,
): void {
  const { place, id, carrier, standing, startedAt } = admitted;
  const via = parts.answer().name;
  const bytes = { sent: 0, received: 0 };
  let controller: Dispatcher.DispatchController | null = null;
  let over = false;

  const finish = (): void => {
    if (over) return;
    over = true;
    place.release();
    const elapsedMs = parts.now() - startedAt;
    parts.telemetry.ended({ id, end: 'answered', cutBy: place.cutBy(), bytes, elapsedMs });
  };
  const abort = (): void => {
    controller?.abort(new Error('aborted'));
    // A cut answer must not look complete (threats H23): the connection goes with it.
    response.socket?.destroy();
    finish();
  };
  place.open({ standing, cut: abort });
  response.on('close', () => {
    if (!response.writableFinished) controller?.abort(new Error('the device left'));
    finish();
  });
  const body = hasBody(request) ? request : null;
  body?.on('data', (chunk: Buffer) => {
    bytes.sent += chunk.length;
  });
  body?.pause();

  carrier.client.dispatch(
    {
      method: request.method as Dispatcher.HttpMethod,
      path: asked.path,
      headers: requestFields(request.rawHeaders, asked.authority, via),
      body,
    },
    {
      onRequestStart(started) {
        controller = started;
      },
      onResponseStart(_, status, headers, statusText) {
        // Informational answers end here: the gateway has answered Expect itself.
        if (status < 200) return;
        response.writeHead(status, statusText, responseFields(headers, via));
      },
      onResponseData(current, chunk) {
        bytes.received += chunk.length;
        if (response.write(chunk)) return;
        current.pause();
        response.once('drain', () => current.resume());
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError(_, error) {
        if (over) return;
        if (response.headersSent) return abort();
        refuse(request, response, failureOf(error), id, parts);
      },
    },
  );
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length ?? '0') !== '0';
}

function failureOf(error: unknown): FailureReason {
  switch (systemCode(error)) {
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return 'origin.timeout';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'origin.incomplete';
    default:
      return 'origin.malformed';
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  reason: Reason,
  id: string,
  parts: ForwardParts,
): void {
  if (response.headersSent || response.destroyed) return;
  const answer = answerRefusal(reason, id, request.headers.accept, parts.answer());
  response.writeHead(answer.status, answer.headers);
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}
