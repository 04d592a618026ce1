// The databases of places: what is read out of them, and what happens with files that are none.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseAddress } from '../../../dtr-rules/address.ts';
import { readPlaces } from '../../../idp-zone/edge/places.ts';
import { mmdbOf } from '../../support/mmdb.ts';

const countries = mmdbOf({
  '203.0.113.0/24': { country: { iso_code: 'FI' } },
  '203.0.113.8/32': { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }] },
  '203.0.113.9/32': { subdivisions: [{ iso_code: 'CA' }] },
  '203.0.113.10/32': { country: 'FI' },
  '2001:db8::/32': { country: { iso_code: 'SE' } },
});
const asns = mmdbOf({ '203.0.113.0/24': { autonomous_system_number: 64_500 } });

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zonegate-places-'));
});
after(() => rm(folder, { recursive: true }));

async function fileOf(name: string, content: Buffer): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

test('an address has a country, a region with its country, and a network', async () => {
  const read = await readPlaces({
    countries: await fileOf('c.mmdb', countries),
    asns: await fileOf('a.mmdb', asns),
  });
  assert.ok(read.ok);
  const at = (text: string) => {
    const address = parseAddress(text);
    assert.ok(address);
    return read.locate?.(address);
  };
  assert.deepEqual(at('203.0.113.1'), { country: 'FI', region: null, asn: 64_500 });
  assert.deepEqual(at('203.0.113.8'), { country: 'US', region: 'US-CA', asn: 64_500 });
  assert.deepEqual(at('2001:db8::1'), { country: 'SE', region: null, asn: null });
  assert.deepEqual(at('10.0.0.1'), { country: null, region: null, asn: null });
  // A record that looks different says nothing.
  assert.deepEqual(at('203.0.113.9'), { country: null, region: null, asn: 64_500 });
  assert.deepEqual(at('203.0.113.10'), { country: null, region: null, asn: 64_500 });
});

test('without files there is nothing to ask', async () => {
  assert.deepEqual(await readPlaces({ countries: null, asns: null }), { ok: true, locate: null });
});

const broken: readonly (readonly [string, Buffer | null])[] = [
  ['missing', null],
  ['empty', Buffer.alloc(0)],
  ['text', Buffer.from('<html>sign in to download</html>')],
  ['compressed', gzipSync(countries)],
  ['cut short', countries.subarray(0, countries.length - 60)],
];
for (const [what, content] of broken) {
  test(`a file that is ${what} is told, beside every other`, async () => {
    const file = join(folder, `${what}.mmdb`);
    if (content !== null) await writeFile(file, content);
    const read = await readPlaces({ countries: file, asns: file });
    assert.ok(!read.ok);
    assert.deepEqual(
      read.issues.map(({ key }) => key),
      ['countries', 'asns'],
    );
    for (const { message } of read.issues) assert.match(message, /^cannot be read as an MMDB file/);
  });
}

test('a record that leads nowhere is a place nobody knows', async () => {
  // The tree is whole, the data it points to is gone.
  const damaged = Buffer.from(countries);
  damaged.fill(
    0xff,
    damaged.indexOf('country') - 2,
    damaged.indexOf('\xab\xcd\xefMaxMind', 'latin1'),
  );
  const read = await readPlaces({ countries: await fileOf('damaged.mmdb', damaged), asns: null });
  assert.ok(read.ok);
  const address = parseAddress('203.0.113.1');
  assert.ok(address);
  assert.deepEqual(read.locate?.(address), { country: null, region: null, asn: null });
});
