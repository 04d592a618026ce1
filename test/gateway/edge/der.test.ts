// The DER reader takes one encoding of each value and no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  DerError,
  encodingOf,
  readBoolean,
  readChildren,
  readDer,
  readInteger,
  readOid,
  readTime,
} from '../../../gateway/edge/der.ts';
import { der } from '../../support/pki.ts';

const value = (hex: string) => readDer(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const refused: Readonly<Record<string, () => unknown>> = {
  'nothing at all': () => value(''),
  'a tag without length': () => value('30'),
  'a tag of two bytes': () => value('1f8100'),
  'the indefinite length': () => value('3080 0000'),
  'a length of five bytes': () => value('30 85 0000000001 00'),
  'a length in more bytes than it needs': () => value('04 81 01 00'),
  'a length with a leading zero': () => value(`0482 0080 ${'00'.repeat(128)}`),
  'a length cut short': () => value('30 82 01'),
  'more contents than there are': () => value('04 02 00'),
  'a length near 4 GiB': () => value('04 84 ffffffff 00'),
  'bytes behind the value': () => value('0500 00'),
  'a child longer than its parent': () => readChildren(value('3003 0402 00')),
  'an empty integer': () => readInteger(value('0200')),
  'a padded integer': () => readInteger(value('0202 007f')),
  'a padded negative integer': () => readInteger(value('0202 ff80')),
  'another tag for an integer': () => readInteger(value('0401 01')),
  'no integer': () => readInteger(undefined),
  'a boolean that is neither': () => readBoolean(value('0101 01')),
  'a boolean of two bytes': () => readBoolean(value('0102 ffff')),
  'an empty object identifier': () => readOid(value('0600')),
  'an object identifier cut short': () => readOid(value('0602 2a86')),
  'a padded object identifier': () => readOid(value('0603 2a8001')),
  'an object identifier with an endless arc': () => readOid(value('0606 2affffffff7f')),
  'an object identifier of 65 bytes': () => readOid(value(`0641 ${'2a'.repeat(65)}`)),
  'the 30th of February': () => readTime(readDer(der(0x17, '260230000000Z'))),
  'a time without seconds': () => readTime(readDer(der(0x17, '2601010000Z'))),
  'a time with a fraction': () => readTime(readDer(der(0x18, '20260101000000.5Z'))),
  'a time of another zone': () => readTime(readDer(der(0x17, '260101000000+0100'))),
  'an hour 24': () => readTime(readDer(der(0x18, '20260101240000Z'))),
};

for (const [name, read] of Object.entries(refused)) {
  test(`der: ${name} is refused`, () => assert.throws(read, DerError));
}

test('der: integers keep their sign and lose their padding', () => {
  assert.equal(readInteger(value('0201 00')), '0');
  assert.equal(readInteger(value('0201 0a')), 'a');
  assert.equal(readInteger(value('0202 00ff')), 'ff');
  assert.equal(readInteger(value('0201 ff')), '-ff');
});

test('der: object identifiers are dotted text', () => {
  assert.equal(readOid(value('0603 550403')), '2.5.4.3');
  assert.equal(readOid(value('0609 2a864886f70d010101')), '1.2.840.113549.1.1.1');
  assert.equal(readOid(value('0602 8837')), '2.999');
  assert.equal(readOid(value('0601 00')), '0.0');
});

test('der: times of both kinds are milliseconds, with the century of RFC 5280', () => {
  assert.equal(readTime(readDer(der(0x17, '491231235959Z'))), Date.UTC(2049, 11, 31, 23, 59, 59));
  assert.equal(readTime(readDer(der(0x17, '500101000000Z'))), Date.UTC(1950, 0, 1));
  assert.equal(
    readTime(readDer(der(0x18, '20500229000000Z'.replace('0229', '0228')))),
    Date.UTC(2050, 1, 28),
  );
});

test('der: booleans are false or true', () => {
  assert.equal(readBoolean(value('0101 00')), false);
  assert.equal(readBoolean(value('0101 ff')), true);
});

test('der: deep nesting costs nothing, because a level is read when it is asked for', () => {
  let nested: Buffer = der(0x05);
  for (let depth = 0; depth < 10_000; depth += 1) nested = der(0x30, nested);
  assert.equal(readChildren(readDer(nested)).length, 1);
});

test('der: any bytes are read or refused, and what is read is the input', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const input = Buffer.from(bytes);
      try {
        const root = readDer(input);
        assert.deepEqual(encodingOf(root), input);
        const children = readChildren(root);
        assert.equal(Buffer.concat(children.map(encodingOf)).length, root.to - root.from);
      } catch (error) {
        assert.ok(error instanceof DerError);
      }
    }),
  );
});
