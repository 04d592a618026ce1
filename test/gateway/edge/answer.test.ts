// What a refused client and the person behind it get to read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allReasons, reasons } from '../../../gateway/decision/reasons.ts';
import { answerRefusal, toBytes } from '../../../gateway/edge/answer.ts';

const id = '0b0d3b0e-6f4f-4d3c-9f3e-1c3a5c9f6a10';
const plain = { name: 'gw', help: null };
const helpful = { name: 'gw', help: 'https://help.example/?a=1&b="<x>' };

for (const reason of allReasons) {
  test(`${reason}: status, Proxy-Status and problem document say the same`, () => {
    const { status, error, sentence, fix } = reasons[reason];
    const answer = answerRefusal(reason, id, undefined, plain);
    assert.equal(answer.status, status);
    assert.equal(answer.headers['Proxy-Status'], `gw; error=${error}; details="${reason}"`);
    assert.equal(answer.headers['Content-Type'], 'application/problem+json');
    const problem = JSON.parse(answer.body);
    assert.equal(problem.reason, reason);
    assert.equal(problem.status, status);
    assert.equal(problem.detail, `${sentence} ${fix}`);
    assert.equal(problem.instance, `urn:uuid:${id}`);
    assert.equal('help' in problem, false);
  });
}

test('a more exact status is the same in the line and in the document', () => {
  const answer = answerRefusal('request.malformed', id, undefined, { ...plain, status: 431 });
  assert.equal(answer.status, 431);
  assert.equal(JSON.parse(answer.body).status, 431);
  assert.equal(JSON.parse(answer.body).title, 'Request Header Fields Too Large');
});

test('a browser gets a page, with everything in it escaped', () => {
  const answer = answerRefusal('rules.block', id, 'text/html,*/*', helpful);
  assert.match(answer.headers['Content-Type'] ?? '', /^text\/html/);
  assert.match(answer.body, /<a href="https:\/\/help\.example\/\?a=1&#38;b=&#34;&#60;x&#62;">/);
  assert.match(answer.body, /rules\.block/);
  assert.match(answer.body, new RegExp(id));
  assert.doesNotMatch(answer.body, /<script/);
});

test('the page cannot be framed, kept or sniffed (I08)', () => {
  const { headers } = answerRefusal('rules.block', id, 'text/html', helpful);
  assert.equal(headers['Cache-Control'], 'no-store');
  assert.match(headers['Content-Security-Policy'] ?? '', /frame-ancestors 'none'/);
  assert.equal(headers['X-Content-Type-Options'], 'nosniff');
});

test('bytes are a whole message that ends the connection', () => {
  const text = toBytes(answerRefusal('posture.non_compliant', id, undefined, plain));
  const [head = '', body = ''] = text.split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 403 Forbidden\r\n/);
  assert.match(head, /\r\nConnection: close(\r\n|$)/);
  assert.match(head, new RegExp(`\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`));
});

test('a policy never asks for a password and never looks like a broken destination (section 3)', () => {
  for (const reason of allReasons) {
    const { status, error } = reasons[reason];
    assert.notEqual(status, 407);
    const isPolicy = /^(identity|posture|rules|egress|address)\./.test(reason);
    assert.ok(!isPolicy || !error.startsWith('destination_'), reason);
  }
});
