// The refusal table from outside: every reason, as the client, the log and the metrics have it.

import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { after, before, test } from 'node:test';
import { allReasons, type Reason, reasons, stageOf } from '../../gateway/decision/reasons.ts';
import type { Answer } from '../support/client.ts';
import { type LogLine, type RunningGateway, startGateway } from '../support/gateway.ts';
import { help } from '../support/gateway-folder.ts';
import { startEcho, startHeldProxy, startNameServer, startScripted } from '../support/upstream.ts';
import { type Lab, type RefusalCase, refusalCases, sharedWords } from './refusal-cases.ts';

const stack = new AsyncDisposableStack();
let lab: Lab;
let shared: RunningGateway;

before(async () => {
  lab = {
    names: stack.use(await startNameServer()),
    echo: stack.use(await startEcho()),
    heldProxy: stack.use(await startHeldProxy()),
    unwillingProxy: stack.use(
      await startScripted('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="secret"\r\n\r\n'),
    ),
  };
  shared = stack.use(await startGateway(sharedWords(lab)));
});
after(() => stack.disposeAsync());

const series = (reason: Reason) => `zonegate_refusals_total{reason="${reason}"}`;

test('every reason has a case here', () => {
  assert.deepEqual(Object.keys(refusalCases).toSorted(), allReasons.toSorted());
});

for (const reason of allReasons) {
  const refusal = refusalCases[reason];
  if ('because' in refusal) {
    test(`${reason} is no answer to anybody: ${refusal.because}`, async () => {
      assert.equal(await shared.metric(series(reason)), 0);
    });
    continue;
  }
  test(`${reason} is told to the client, the log and the metrics`, async () => {
    await inGateway(refusal, async (gateway) => {
      const before = await gateway.metric(series(reason));
      const answer = await refusal.ask(gateway, lab);
      checkAnswer(answer, reason);
      await checkLog(gateway, answer, reason);
      assert.equal(await gateway.metric(series(reason)), before + 1);
    });
  });
}

async function inGateway(
  { words }: RefusalCase,
  run: (gateway: RunningGateway) => Promise<void>,
): Promise<void> {
  if (words === undefined) return await run(shared);
  await using own = await startGateway(words(lab));
  await run(own);
}

function checkAnswer({ status, fields, body }: Answer, reason: Reason): void {
  const row = reasons[reason];
  const { instance, ...problem } = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual(problem, {
    type: 'about:blank',
    title: STATUS_CODES[row.status],
    status: row.status,
    detail: `${row.sentence} ${row.fix}`,
    reason,
    help,
  });
  assert.match(String(instance), /^urn:uuid:[0-9a-f-]{36}$/);
  assert.equal(status, row.status);
  assert.equal(fields.get('proxy-status'), `gw; error=${row.error}; details="${reason}"`);
  assert.equal(fields.get('content-type'), 'application/problem+json');
  assert.equal(fields.get('cache-control'), 'no-store');
  assert.equal(fields.get('link'), `<${help}>; rel="help"`);
  assert.equal(fields.get('connection'), 'close');
}

/** The request id in the answer finds the one line that says why: the decision, or what became of it. */
async function checkLog(gateway: RunningGateway, { body }: Answer, reason: Reason): Promise<void> {
  const { instance } = JSON.parse(body) as { instance: string };
  const says = (line: LogLine) =>
    `urn:uuid:${String(line['zonegate.tunnel.id'])}` === instance &&
    line['zonegate.reason'] === reason;
  const line = await gateway.line(says, reason);
  assert.equal(gateway.logged.filter(says).length, 1);
  assert.equal(line['zonegate.stage'], stageOf(reason));
  // An origin fails only after the request was admitted.
  const event = stageOf(reason) === 'origin' ? 'zonegate.tunnel.end' : 'zonegate.admit';
  assert.equal(line['event.name'], event);
}

test('a device that leaves while the gateway connects is request.abandoned in log and metrics', async () => {
  const words = refusalCases['rules.changed'];
  assert.ok('words' in words);
  await inGateway(words, async (gateway) => {
    const wire = await gateway.open(gateway.device('good'));
    wire.write('CONNECT www.partner.test:443 HTTP/1.1\r\nHost: www.partner.test\r\n\r\n');
    const upstream = await lab.heldProxy.arrived();
    wire.vanish();
    const line = await gateway.line(
      (one) => one['zonegate.reason'] === 'request.abandoned',
      'the abandoned request',
    );
    assert.equal(line['zonegate.stage'], 'request');
    assert.equal(await gateway.metric(series('request.abandoned')), 1);
    assert.equal(gateway.gateway.tunnels.count(), 0);
    if (!upstream.readableEnded) await new Promise((resolve) => upstream.once('end', resolve));
  });
});

test('a browser gets the same refusal as a page that names the reason and links to the help', async () => {
  const wire = await shared.open(shared.device('failing'));
  const target = `http://up.lab.test:${lab.echo.port}/`;
  wire.write(`GET ${target} HTTP/1.1\r\nHost: up.lab.test\r\nAccept: text/html,*/*\r\n\r\n`);
  const { status, fields, body } = await wire.answer();
  assert.equal(status, 403);
  assert.equal(fields.get('content-type'), 'text/html; charset=utf-8');
  assert.ok(body.includes('<code>posture.non_compliant</code>'));
  assert.ok(body.includes(`href="${help}"`));
});

test('a refused CONNECT is not followed by anything else on its connection (H10)', async () => {
  const target = `up.lab.test:${lab.echo.port}`;
  const next = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
  const before = lab.echo.connections.length;
  const refused = await shared.connect(shared.device('good'), 'www.forbidden.test:443', next);
  assert.equal(refused.reply.status, 403);
  assert.equal(await refused.rest(), '');
  refused.end();
  await refused.closed();
  assert.equal(lab.echo.connections.length, before);
});
