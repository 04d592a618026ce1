// The egress feed: the last good answer stays, failures are loud, and an unread feed holds nobody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { parseAddress } from '../../../dtr-rules/address.ts';
import type { ZoneSource } from '../../../idp-zone/decision/zone.ts';
import { arrivalOf, standingOf } from '../../../idp-zone/decision/zone.ts';
import { createFeedReader, type FeedReader } from '../../../idp-zone/edge/feed.ts';
import { createLiveZones } from '../../../idp-zone/edge/live-zones.ts';
import { createLog } from '../../../runtime/log.ts';
import { createReadiness } from '../../../runtime/readiness.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const HOUR = 3_600_000; // never due within a test: each read is asked for
const list = (...addresses: readonly string[]) =>
  JSON.stringify({
    items: addresses.map((address) => ({ address, pool: 'main' })),
    next_cursor: null,
  });
const json =
  (body: string, status = 200): Answer =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(body);

async function startFeed(t: TestContext) {
  let answer: Answer = json(list('127.0.0.10'));
  const server = createServer((request, response) => answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const lines: string[] = [];
  const log = createLog({
    level: 'debug',
    secrets: [],
    stream: { write: (line) => void lines.push(line) },
  });
  const readiness = createReadiness();
  const counts = { failures: 0, changes: 0 };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/egress`;
  const reader = createFeedReader({
    zone: 'egress',
    feed: { url, token: 'feed-token-0123', refreshMs: HOUR },
    onChange: () => void counts.changes++,
    failures: { inc: () => void counts.failures++ },
    readiness,
    log,
    deadlineMs: 200,
  });
  t.after(() => {
    reader.close();
    server.closeAllConnections();
    server.close();
  });
  return {
    reader,
    counts,
    lines,
    check: () => readiness.report().checks['zone egress'],
    answer: (next: Answer) => {
      answer = next;
    },
  };
}

const texts = (reader: FeedReader) => reader.ranges()?.map(({ text }) => text);

test('before the first answer nothing is known, and readiness says so', async (t) => {
  const { reader, check } = await startFeed(t);
  assert.equal(reader.ranges(), null);
  assert.match(check() ?? '', /not been read/);
});

test('a good answer is adopted, with the token sent', async (t) => {
  const feed = await startFeed(t);
  let authorization: string | undefined;
  feed.answer((request, response) => {
    authorization = request.headers.authorization;
    json(list('127.0.0.10', '203.0.113.8/29'))(request, response);
  });
  await feed.reader.refresh();
  assert.deepEqual(texts(feed.reader), ['127.0.0.10', '203.0.113.8/29']);
  assert.equal(authorization, 'Bearer feed-token-0123');
  assert.equal(feed.check(), 'ok');
  assert.deepEqual(feed.counts, { failures: 0, changes: 1 });
});

test('an unchanged feed is asked for by its tag and changes nothing', async (t) => {
  const feed = await startFeed(t);
  feed.answer((request, response) => {
    if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
    else response.writeHead(200, { etag: '"1"' }).end(list('127.0.0.10'));
  });
  await feed.reader.refresh();
  await feed.reader.refresh();
  assert.deepEqual(texts(feed.reader), ['127.0.0.10']);
  assert.deepEqual(feed.counts, { failures: 0, changes: 1 });
});

const bad: Readonly<Record<string, Answer>> = {
  'an error': json('{}', 500),
  'a refusal': json('{}', 401),
  'a redirect': (_request, response) =>
    void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  'no JSON': json('<html>'),
  'no list': json('{"items":{}}'),
  'an empty list': json(list()),
  'half a list': json('{"items":[{"address":"127.0.0.11"}],"next_cursor":"2"}'),
  'one bad address': json(list('127.0.0.11', '127.1')),
  'too much': json(`{"items":[],"x":"${'x'.repeat(1024 * 1024)}"}`),
  'a cut answer': (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"items":');
    response.destroy();
  },
  silence: () => undefined,
};

for (const [what, answer] of Object.entries(bad)) {
  test(`${what} keeps the last addresses, is counted and makes the zone not ready`, async (t) => {
    const feed = await startFeed(t);
    await feed.reader.refresh();
    feed.answer(answer);
    await feed.reader.refresh();
    assert.deepEqual(texts(feed.reader), ['127.0.0.10']);
    assert.deepEqual(feed.counts, { failures: 1, changes: 1 });
    assert.match(feed.check() ?? '', /cannot be read; the last addresses stay in force/);
    assert.ok(!feed.lines.join().includes('feed-token-0123'));
  });
}

test('a failure is logged once, and so is the recovery', async (t) => {
  const feed = await startFeed(t);
  feed.answer(json('', 500));
  await feed.reader.refresh();
  await feed.reader.refresh();
  assert.match(feed.check() ?? '', /the zone holds nobody/);
  feed.answer(json(list('127.0.0.10')));
  await feed.reader.refresh();
  assert.deepEqual(
    feed.lines.map((line) => JSON.parse(line).level),
    ['error', 'info'],
  );
  assert.equal(feed.check(), 'ok');
});

test('a feed that is closed no longer changes anything', async (t) => {
  const feed = await startFeed(t);
  const reading = feed.reader.refresh();
  feed.reader.close();
  await reading;
  assert.equal(feed.reader.ranges(), null);
  assert.deepEqual(feed.counts, { failures: 0, changes: 0 });
});

test('a zone of a feed alone is unknown until it is read, then holds what was read', () => {
  const address = parseAddress('127.0.0.10');
  assert.ok(address);
  const opened: string[] = [];
  const closed: string[] = [];
  const reads = new Map<string, { read: boolean; onChange: () => void }>();
  const live = createLiveZones(({ name, feed }, onChange) => {
    if (feed === null) return null;
    opened.push(name);
    const state = { read: false, onChange };
    reads.set(name, state);
    const range = {
      family: 4 as const,
      first: address.value,
      last: address.value,
      text: address.text,
    };
    return {
      ranges: () => (state.read ? [range] : null),
      refresh: () => Promise.resolve(),
      close: () => void closed.push(name),
    };
  });
  const standing = () => {
    const { zones, unknownZones } = standingOf(
      live.current().compiled,
      arrivalOf([address], address, null),
    );
    return { zones, unknownZones };
  };
  const fed: ZoneSource = {
    kind: 'addresses',
    usage: 'POLICY',
    name: 'fed',
    gateways: [],
    proxies: [],
    feed: { url: 'http://127.0.0.1/', token: null, refreshMs: HOUR },
  };
  live.update([fed], null);
  assert.deepEqual(standing(), { zones: [], unknownZones: ['fed'] });
  const state = reads.get('fed');
  assert.ok(state);
  state.read = true;
  state.onChange();
  assert.deepEqual(standing(), { zones: ['fed'], unknownZones: [] });

  // A reload that keeps the feed keeps what it said.
  live.update([fed, { ...fed, name: 'plain', feed: null }], null);
  assert.deepEqual(standing(), { zones: ['fed'], unknownZones: [] });
  assert.deepEqual([opened, closed], [['fed'], []]);
  live.update([], null);
  assert.deepEqual(closed, ['fed']);
});
