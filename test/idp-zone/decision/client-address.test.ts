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
const chain = (peer: string | null, forwarded: string | null = null) =>
  clientChain({ peer, field: 'X-Forwarded-For', forwarded }, trusted).map(({ text }) => text);
const chainOf = (forwarded: string) =>
  clientChain({ peer: PROXY, field: 'Forwarded', forwarded }, trusted)
    .slice(0, -1)
    .map(({ text }) => text);

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

for (const junk of [
  'unknown',
  '',
  '10.0.0.1:',
  '[10.0.0.1]',
  '2001:db8::9:',
  '127.1',
  'a b',
  '1:2',
]) {
  test(`an entry \`${junk}\` ends the chain and is never skipped`, () => {
    assert.deepEqual(chain(PROXY, `203.0.113.8, ${junk}, 10.0.0.9`), ['10.0.0.9', PROXY]);
    assert.deepEqual(chain(PROXY, `203.0.113.8, ${junk}`), [PROXY]);
  });
}

test('an entry may carry its port, as some balancers write it', () => {
  const written = '10.0.0.1:80, [2001:db9::9]:443, [2001:db9::8]';
  assert.deepEqual(chain(PROXY, written), ['10.0.0.1', '2001:db9::9', '2001:db9::8', PROXY]);
});

// RFC 7239: what is written, and the hops it means, the proxy itself left out.
const forwarded: readonly (readonly [string, readonly string[]])[] = [
  ['for=10.0.0.1', ['10.0.0.1']],
  ['For="10.0.0.1:4711";proto=https;by=192.0.2.1', ['10.0.0.1']],
  ['for=10.0.0.1, for="[2001:db9::17]:4711";host="a, b"', ['10.0.0.1', '2001:db9::17']],
  ['by=_x;for="[2001:db9::17]"', ['2001:db9::17']],
  ['for="10.0.0.1:_port"', ['10.0.0.1']],
  ['for="10.0\\.0.1"', ['10.0.0.1']], // a quoted pair is what it quotes
  // An entry nobody can read ends the chain there.
  ['for=10.0.0.1, for=unknown, for=10.0.0.2', ['10.0.0.2']],
  ['for=10.0.0.1, for=_hidden', []],
  ['for=10.0.0.1, proto=https', []],
  ['for=10.0.0.1, for=10.0.0.2;for=10.0.0.3', []],
  ['for=10.0.0.1,, for=10.0.0.2', ['10.0.0.2']],
  ['for=2001:db9::1', []], // IPv6 needs brackets and quotes
  ['', []],
  // What a client sends must not swallow what our proxy adds behind it.
  ['for=", for=10.0.0.2', ['10.0.0.2']],
  ['for="10.0.0.9, for=10.0.0.2', ['10.0.0.2']],
  ['for=10.0.0.9;x="\\", for=10.0.0.2;by="a"', ['10.0.0.2']],
  ['for=10.0.0.2;host="x, for=10.0.0.9"', ['10.0.0.2']],
  ['for=10.0.0.2;host="x, for=10.0.0.9;a=\\"b\\""', ['10.0.0.2']],
];
for (const [written, hops] of forwarded) {
  test(`Forwarded: \`${written}\` means ${hops.join(', ') || 'nobody'}`, () => {
    assert.deepEqual(chainOf(written), hops);
  });
}

test('an element longer than any proxy writes ends the chain, without much work', () => {
  assert.deepEqual(chainOf(`for=10.0.0.1;x=${'a'.repeat(2000)}, for=10.0.0.2`), ['10.0.0.2']);
  assert.deepEqual(chainOf(`for=10.0.0.1;x="${','.repeat(16_000)}`), []);
});

// Were either quadratic, this would take minutes.
test('blanks that a client sends by the hundred thousand are read once', () => {
  const blanks = ' \t'.repeat(200_000);
  assert.deepEqual(chain(PROXY, `10.0.0.1${blanks}x, 10.0.0.2`), ['10.0.0.2', PROXY]);
  assert.deepEqual(chain(PROXY, `${blanks}10.0.0.1${blanks}, 10.0.0.2`), [
    '10.0.0.1',
    '10.0.0.2',
    PROXY,
  ]);
  assert.deepEqual(chain(PROXY, `10.0.0.1,${blanks}`), [PROXY]);
});

test('a mapped IPv4 peer is the IPv4 address', () => {
  assert.deepEqual(chain('::ffff:203.0.113.8'), ['203.0.113.8']);
  assert.deepEqual(chain(`::ffff:${PROXY}`, '::ffff:10.0.0.1'), ['10.0.0.1', PROXY]);
});

test('a peer that cannot be read leaves no chain', () => {
  assert.deepEqual(chain(null, '203.0.113.8'), []);
  assert.deepEqual(chain('fe80::1%eth0'), []);
});

test('reading stops after as many hops as no real way has', () => {
  const many = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`).join();
  assert.equal(chain(PROXY, many).length, 32);
});

test('attempts count for the rightmost hop that is no proxy of ours', () => {
  const client = (peer: string | null, entries: string | null) =>
    clientAddress(
      clientChain({ peer, field: 'X-Forwarded-For', forwarded: entries }, trusted),
      trusted,
    )?.text;
  assert.equal(client(PROXY, '10.0.0.1, 10.0.0.2, 2001:db8::7'), '10.0.0.2');
  assert.equal(client(PROXY, '2001:db8::7'), '2001:db8::7'); // all proxies: the outermost
  assert.equal(client(PROXY, null), PROXY);
  assert.equal(client(null, null), undefined);
});
