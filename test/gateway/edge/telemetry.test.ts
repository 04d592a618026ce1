// What is counted and logged about connections.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allReasons } from '../../../gateway/decision/reasons.ts';
import { createTelemetry, type Decided } from '../../../gateway/edge/telemetry.ts';
import { createLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { peer, someIdentity } from '../decision/policy-for.ts';

function recording() {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const metrics = createMetrics();
  const telemetry = createTelemetry(metrics, createLog({ level: 'debug', secrets: [], stream }));
  return { lines, telemetry, metrics };
}

const refusal: Decided = {
  id: 'an-id',
  asked: {
    kind: 'connect',
    method: 'CONNECT',
    target: { host: 'a.test', address: null, port: 443 },
    fields: [],
    connection: {
      peer,
      clientAddress: '192.0.2.1',
      clientPort: 1234,
      tlsVersion: 'TLSv1.3',
      tlsCipher: 'TLS_AES_128_GCM_SHA256',
      isSurplus: false,
      gone: new AbortController().signal,
    },
  },
  identity: someIdentity,
  claimed: someIdentity.deviceId,
  outcome: { action: 'refuse', reason: 'rules.block', by: 'ads', cause: null },
  trail: [{ stage: 'posture', by: 'uem:616' }],
  reported: [],
  policyVersion: 'v1',
  elapsedMs: 1.23456,
};

test('every reason has a series from the start, and nothing else becomes a label (A08)', async () => {
  const text = await recording().metrics.text();
  for (const reason of allReasons) {
    assert.ok(text.includes(`zonegate_refusals_total{reason="${reason}"} 0`), reason);
    assert.ok(text.includes(`zonegate_tunnels_cut_total{reason="${reason}"} 0`), reason);
  }
});

test('rules that only report are told with the decision, and counted by what they would have done', async () => {
  const { lines, telemetry, metrics } = recording();
  telemetry.decided(refusal);
  const reported = [
    { rule: 'no-uploads', action: 'BLOCK' },
    { rule: 'fair', action: 'TUNNEL' },
  ] as const;
  telemetry.decided({ ...refusal, reported });
  const [silent, told] = lines.map((line) => JSON.parse(line));
  assert.ok(!('report_only' in silent));
  assert.deepEqual(told['report_only'], reported);
  const text = await metrics.text();
  for (const [action, count] of Object.entries({ TUNNEL: 1, BYPASS: 0, BLOCK: 1, PROXY: 0 })) {
    assert.ok(
      text.includes(`zonegate_rules_report_only_total{action="${action}"} ${count}\n`),
      action,
    );
  }
});

test('a refusal is one line with its stage, reason and rule, and one more in its series', async () => {
  const { lines, telemetry, metrics } = recording();
  telemetry.decided(refusal);
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0] ?? '');
  assert.equal(line['zonegate.stage'], 'rules');
  assert.equal(line['zonegate.reason'], 'rules.block');
  assert.equal(line['zonegate.by'], 'ads');
  assert.deepEqual(line['zonegate.trail'], ['posture=uem:616']);
  assert.equal(line['zonegate.tunnel.id'], 'an-id');
  assert.equal(line['device.id'], someIdentity.deviceId);
  assert.match(await metrics.text(), /zonegate_refusals_total\{reason="rules.block"\} 1/);
});

test('hostile text stays within one line and brings no control bytes (A09)', () => {
  const { lines, telemetry } = recording();
  const evil = 'x"\r\n{"level":"fatal"}\u001b[31m\u0000\u2028\u0085';
  const certificate = peer.certificate && { ...peer.certificate, subjectText: evil };
  const connection = { ...refusal.asked.connection, peer: { ...peer, certificate } };
  const outcome = { action: 'refuse', reason: 'rules.block', by: evil, cause: evil } as const;
  telemetry.decided({ ...refusal, asked: { ...refusal.asked, connection }, outcome });
  telemetry.malformed({
    id: 'an-id',
    reason: 'request.malformed',
    connection,
    detail: evil,
  });
  for (const line of lines) {
    assert.equal(line.indexOf('\n'), line.length - 1);
    assert.ok(!hasControl(line.trimEnd()), line);
    assert.notEqual(JSON.parse(line).level, 'fatal');
  }
  assert.equal(lines.length, 2);
});

test('an end says whether it was cut, and counts bytes once', async () => {
  const { lines, telemetry, metrics } = recording();
  const bytes = { sent: 3, received: 5 };
  const ended = {
    id: 'an-id',
    end: 'cut',
    cutBy: null,
    failure: null,
    bytes,
    elapsedMs: 7,
  } as const;
  telemetry.ended({ ...ended, cutBy: 'posture.non_compliant' });
  telemetry.ended({ ...ended, end: 'closed' });
  telemetry.ended({ ...ended, end: 'origin_error', failure: 'origin.timeout' });
  const all = lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    all.map((line) => [line['zonegate.end'], line['zonegate.reason']]),
    [
      ['cut', 'posture.non_compliant'],
      ['closed', undefined],
      ['origin_error', 'origin.timeout'],
    ],
  );
  const text = await metrics.text();
  assert.match(text, /zonegate_tunnels_cut_total\{reason="posture.non_compliant"\} 1/);
  assert.match(text, /zonegate_refusals_total\{reason="origin.timeout"\} 1/);
  assert.match(text, /zonegate_tunnel_bytes_total\{direction="sent"\} 9/);
  assert.match(text, /zonegate_tunnel_bytes_total\{direction="received"\} 15/);
});

/** C0, DEL, C1 and the separators that some readers break lines at. */
function hasControl(text: string): boolean {
  return text.split('').some((one) => {
    const code = one.charCodeAt(0);
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
  });
}

test('a look-up is counted by outcome, and timed where somebody was asked', async () => {
  const { telemetry, metrics } = recording();
  telemetry.lookedUp('ok', 20);
  telemetry.lookedUp('cached', null);
  const text = await metrics.text();
  for (const series of [
    'zonegate_dns_lookups_total{outcome="ok"} 1',
    'zonegate_dns_lookups_total{outcome="cached"} 1',
    'zonegate_dns_lookups_total{outcome="stale"} 0',
    'zonegate_dns_lookup_seconds_count 1',
  ]) {
    assert.ok(text.includes(series), series);
  }
});
