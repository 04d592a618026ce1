// CONNECT over HTTP/2 (RFC 9113 section 8.5): one tunnel per stream; END_STREAM is FIN, a reset is a reset.

import { randomUUID } from 'node:crypto';
import type { Reason } from '../decision/reasons.ts';
import { parseConnectTarget } from '../decision/target.ts';
import { admit } from './admit.ts';
import type { ForwardParts } from './carry.ts';
import { carryTunnel } from './connect.ts';
import type { H2Request } from './h2.ts';
import { refuseStream, streamConnection } from './h2-stream.ts';

const none = Buffer.alloc(0);

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
  const fields = request.raw;
  const asked = { kind: 'connect', method: 'CONNECT', target, fields, connection } as const;
  const admitted = await admit(asked, parts, parts.reach);
  if (!admitted.ok) return refuse(admitted.reason, admitted.id);

  if (!stream.destroyed && !stream.closed) stream.respond({ ':status': 200 });
  return carryTunnel(stream, admitted, none, parts);
}
