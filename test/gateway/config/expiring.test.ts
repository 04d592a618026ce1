// When the end of certificates, authorities and revocation lists is worth a warning, and what it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dated, expiring } from '../../../gateway/config/expiring.ts';

const now = Date.UTC(2026, 10, 22, 12);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const said: readonly {
  readonly kind: Dated['kind'];
  readonly leftMs: number;
  readonly message: string | null;
}[] = [
  { kind: 'server certificate', leftMs: 14 * dayMs, message: null },
  {
    kind: 'server certificate',
    leftMs: 14 * dayMs - 1000,
    message: 'expires on 2026-12-06T11:59:59Z',
  },
  { kind: 'server certificate', leftMs: 0, message: 'expires on 2026-11-22T12:00:00Z' },
  { kind: 'server certificate', leftMs: -1000, message: 'expired on 2026-11-22T11:59:59Z' },
  { kind: 'device authority', leftMs: 1000, message: null },
  { kind: 'device authority', leftMs: 0, message: null },
  { kind: 'device authority', leftMs: -1000, message: 'expired on 2026-11-22T11:59:59Z' },
  { kind: 'revocation list', leftMs: dayMs, message: null },
  { kind: 'revocation list', leftMs: dayMs - 1000, message: 'runs out on 2026-11-23T11:59:59Z' },
  { kind: 'revocation list', leftMs: -dayMs, message: 'ran out on 2026-11-21T12:00:00Z' },
];

for (const { kind, leftMs, message } of said) {
  test(`a ${kind} with ${leftMs / hourMs} hours left: ${message ?? 'nothing to say'}`, () => {
    const issues = expiring([{ kind, file: 'x.pem', path: ['tls'], at: now + leftMs }], now);
    assert.deepEqual(
      issues.map((issue) => issue.message),
      message === null ? [] : [`the ${kind} \`x.pem\` ${message}`],
    );
    for (const { path, hint } of issues) {
      assert.deepEqual(path, ['tls']);
      assert.ok(hint);
    }
  });
}
