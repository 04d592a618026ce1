// The forwarded chain: who may speak for others, and where reading it stops (threats I05).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileAddressTable, parseAddressRange } from '../../../dtr-rules/address.ts';
import { clientAddress, clientChain } from '../../../idp-zone/decision/client-address.ts';

const PROXY = '192.0.2.1';

const trusted = compileAddressTable<true>(
  [PROXY, '2001:db8::/64'].flatMap((text) => {
    const range = parseAddressRange(text);
    return range === null ? [] : [{ range, value: true as const }];
  }),
);
const chain = (peer: string | null, forwardedFor: string | null = null) =>
  clientChain({ peer, forwardedFor }, trusted).map(({ text }) => text);

test('a peer nobody declared speaks for itself only', () => {
  assert.deepEqual(chain('203.0.113.9', '10.0.0.1, 10.0.0.2'), ['203.0.113.9']);
});

test('a declared proxy adds the hops before it, the peer rightmost', () => {
  assert.deepEqual(chain(PROXY, '10.0.0.1,10.0.0.2 ,\t10.0.0.3'), [
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.3',
    PROXY,
  ]);
});

test('a declared proxy without the field is the whole chain', () => {
  assert.deepEqual(chain(PROXY), [PROXY]);
});

for (const junk of ['unknown', '', '10.0.0.1:80', '[2001:db8::9]', '010.0.0.1', '127.1', 'a b']) {
  test(`an entry \`${junk}\` ends the chain and is never skipped`, () => {
    assert.deepEqual(chain(PROXY, `203.0.113.8, ${junk}, 10.0.0.9`), ['10.0.0.9', PROXY]);
    assert.deepEqual(chain(PROXY, `203.0.113.8, ${junk}`), [PROXY]);
  });
}

test('a mapped IPv4 peer is the IPv4 address', () => {
  assert.deepEqual(chain('::ffff:203.0.113.8'), ['203.0.113.8']);
  assert.deepEqual(chain(`::ffff:${PROXY}`, '::ffff:10.0.0.1'), ['10.0.0.1', PROXY]);
});

test('a peer that cannot be read leaves no chain', () => {
  assert.deepEqual(chain(null, '203.0.113.8'), []);
  assert.deepEqual(chain('fe80::1%eth0'), []);
});

test('reading stops one hop after those that are judged', () => {
  const many = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`).join();
  assert.equal(chain(PROXY, many).length, 6);
});

test('attempts count for the rightmost hop that is no proxy of ours', () => {
  const client = (peer: string | null, forwardedFor: string | null) =>
    clientAddress(clientChain({ peer, forwardedFor }, trusted), trusted)?.text;
  assert.equal(client(PROXY, '10.0.0.1, 10.0.0.2, 2001:db8::7'), '10.0.0.2');
  assert.equal(client(PROXY, '2001:db8::7'), '2001:db8::7'); // all proxies: the outermost
  assert.equal(client(PROXY, null), PROXY);
  assert.equal(client(null, null), undefined);
});
