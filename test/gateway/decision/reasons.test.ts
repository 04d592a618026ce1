// The table of reasons: what every row must hold, whoever reads it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allReasons, type ReasonRow, reasons, stageOf } from '../../../gateway/decision/reasons.ts';

const rows: readonly (readonly [string, ReasonRow])[] = allReasons.map((reason) => [
  reason,
  reasons[reason],
]);

// RFC 9209 section 2.3, the ones in use.
const errorTypes = new Set([
  'dns_timeout',
  'dns_error',
  'destination_unavailable',
  'connection_refused',
  'connection_terminated',
  'connection_timeout',
  'connection_read_timeout',
  'connection_limit_reached',
  'http_request_error',
  'http_request_denied',
  'http_response_incomplete',
  'http_protocol_error',
  'http_upgrade_failed',
  'proxy_internal_error',
  'proxy_loop_detected',
]);

test('the stage of a reason is what stands before its dot', () => {
  assert.equal(stageOf('identity.no_certificate'), 'identity');
  for (const reason of allReasons) assert.match(reason, /^[a-z]+\.[a-z_]+$/);
});

test('every error is registered in RFC 9209', () => {
  for (const [reason, { error }] of rows) assert.ok(errorTypes.has(error), `${reason}: ${error}`);
});

test('no refusal asks for proxy credentials: 407 makes clients send some', () => {
  for (const [reason, { status }] of rows) {
    assert.ok(status >= 400 && status <= 599, reason);
    assert.ok(status !== 401 && status !== 407, reason);
  }
});

// A managed relay may answer `destination_*` by going direct, and that would be failing open (D01).
test('only a failed dial blames the destination', () => {
  for (const [reason, { error }] of rows) {
    if (error.startsWith('destination_')) assert.match(reason, /^dial\./);
  }
});

test('a refusal by policy answers 403 and http_request_denied', () => {
  for (const reason of allReasons) {
    const { status, error } = reasons[reason];
    const stage = stageOf(reason);
    if (stage !== 'identity' && stage !== 'rules' && stage !== 'address') continue;
    assert.deepEqual({ status, error }, { status: 403, error: 'http_request_denied' }, reason);
  }
});

test('the person reads whole sentences, and never what the gateway alone should know', () => {
  for (const [reason, { sentence, fix }] of rows) {
    for (const text of [sentence, fix]) assert.match(text, /^[A-Z][^`{}<>]+\.$/, reason);
  }
});
