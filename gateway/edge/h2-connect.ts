// CONNECT over HTTP/2 (RFC 9113 section 8.5): one tunnel per stream; END_STREAM is FIN, a reset is a reset.

import { randomUUID } from 'node:crypto';
import { constants } from 'node:http2';
import type { Reason } from '../decision/reasons.ts';
import { parseConnectTarget } from '../decision/target.ts';
import { admit } from './admit.ts';
import type { ForwardParts } from './carry.ts';
import type { H2Request } from './h2.ts';
import { refuseStream, resetStream, streamConnection } from './h2-stream.ts';
import { splice } from './splice.ts';

export async function handleH2Connect(request: H2Request, parts: ForwardParts): Promise<void> {
  const { stream, headers } = request;
  const connection = streamConnection(request, parts);
  const options = parts.answer();
  const refuse = (reason: Reason, id: string): void =>
    refuseStream(stream, reason, id, { accept: headers.accept, head: false, options });

  const target = parseConnectTarget(headers[':authority'] ?? '');
  // Extended CONNECT (RFC 8441) names this gateway in :authority: never open a tunnel to that.
  const protocol = headers[':protocol'];
  if (protocol !== undefined || target === null) {
    const reason = protocol === undefined ? 'request.malformed' : 'request.protocol';
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason, connection, detail: 'CONNECT' });
    return refuse(reason, id);
  }
  const asked = { kind: 'connect', method: 'CONNECT', target, connection } as const;
  const admitted = await admit(asked, parts, parts.reach);
  if (!admitted.ok) return refuse(admitted.reason, admitted.id);

  const { carrier, place, tunnel, id, startedAt } = admitted;
  if (!stream.destroyed && !stream.closed) stream.respond({ ':status': 200 });
  // RFC 9113 section 8.5: a TCP error is a stream error of type CONNECT_ERROR. (The other way round a
  // reset is a close: Node ends the stream, and with it the socket's half, before it tells of a reset.)
  const broken = (): void => resetStream(stream, constants.NGHTTP2_CONNECT_ERROR);
  carrier.once('error', broken);
  const idleMs = tunnel.idleMs ?? parts.idleMs();
  const pumped = splice(stream, carrier, { idleMs, early: Buffer.alloc(0) });
  place.open(() => {
    broken();
    pumped.cut();
  });
  const end = await pumped.ended;
  place.release();
  const elapsedMs = parts.now() - startedAt;
  const { bytes } = pumped;
  parts.telemetry.ended({ id, end, cutBy: place.cutBy(), failure: null, bytes, elapsedMs });
}
