// Ambiguous requests over real TLS: one answer, the connection closes, and nothing of them reaches an origin.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { type HttpServer, startHttp } from '../support/upstream.ts';
import { smugglingCases } from './smuggling-cases.ts';

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
let origin: HttpServer;

before(async () => {
  gateway = stack.use(await startGateway());
  origin = stack.use(await startHttp());
});
after(() => stack.disposeAsync());

for (const { threat, name, bytes, status } of smugglingCases) {
  test(`${threat} ${name}`, async () => {
    const target = `up.lab.test:${origin.port}`;
    const smuggled = `GET http://${target}/smuggled HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
    const seenBefore = origin.seen.length;
    const wire = await gateway.open(gateway.device('good'));
    wire.write(Buffer.from(bytes.replaceAll('{T}', target) + smuggled, 'latin1'));
    const said = await wire.rest();
    const answers = [...said.matchAll(/^HTTP\/1\.[01] (\d{3}) /gm)].map(([, code]) => Number(code));
    assert.equal(answers.length, 1, said);
    assert.ok(status.includes(answers[0] ?? 0), said);
    assert.deepEqual(origin.seen.slice(seenBefore), []);
    wire.end();
    await wire.closed();
  });
}

test('after all that no connection is left behind', async () => {
  assert.equal(await gateway.metric('zonegate_tunnels_open'), 0);
  const wire = await gateway.open(gateway.device('good'));
  wire.write(`GET http://up.lab.test:${origin.port}/ HTTP/1.1\r\nHost: up.lab.test\r\n\r\n`);
  assert.equal((await wire.answer()).body, 'origin');
  wire.socket.destroy();
});
