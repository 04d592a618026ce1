// Whom a posture source believes to be the UEM.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createExchange } from '../../../gateway/posture/exchange.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import { createAuthority } from '../../../runtime/authority.ts';

test('a UEM is believed under the configured authority only, and its name is checked', async (t) => {
  const authority = await createAuthority({ name: 'corp', days: 1 });
  const { certificatePem, keyPem } = await authority.issue({
    commonName: 'uem',
    sans: { ip: ['127.0.0.1'] },
    usage: 'server',
    days: 1,
  });
  const server = createServer({ cert: certificatePem, key: keyPem }, (_, response) =>
    response.end('{}'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const ask = async (ca: string | null, host: string) => {
    const exchange = createExchange({ ca, maxAnswerBytes: 100 });
    t.after(() => exchange.close());
    const request = {
      method: 'GET',
      url: `https://${host}:${port}/`,
      headers: {},
      body: null,
    } as const;
    return (await exchange.send(request, AbortSignal.timeout(5_000))).text;
  };
  assert.equal(await ask(authority.certificatePem, '127.0.0.1'), '{}');
  const other = await createAuthority({ name: 'corp', days: 1 });
  await assert.rejects(ask(other.certificatePem, '127.0.0.1'), SourceError);
  await assert.rejects(ask(null, '127.0.0.1'), SourceError);
  await assert.rejects(ask(authority.certificatePem, 'localhost'), /ERR_TLS_CERT_ALTNAME_INVALID/);
});
