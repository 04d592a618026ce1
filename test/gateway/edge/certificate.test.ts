// Certificates → facts: the bytes as they are, whatever a certificate tries to look like (T09).
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { readCertificate } from '../../../gateway/edge/certificate.ts';
import { createAuthority } from '../../../runtime/authority.ts';
import {
  certificateExtension,
  commonName,
  der,
  derOf,
  issueOdd,
  OID,
  rawName,
  STRING,
} from '../../support/pki.ts';

const HOUR = 3_600_000;
const root = await createAuthority({ name: 'test root', days: 30 });

test('the facts of an ordinary certificate agree with what Node reads', async () => {
  const issued = await root.issue({
    commonName: 'device-1',
    subject: [
      { type: 'O', value: 'Müller & Söhne' },
      { type: 'OU', value: 'staff' },
      { type: 'C', value: 'DE' },
      { type: 'ST', value: 'Bayern' },
      { type: 'L', value: 'München' },
      { type: 'UID', value: 'ann' },
      { type: 'serialNumber', value: 'C02XYZ' },
      { type: 'emailAddress', value: 'ann@example.com' },
      { type: 'DC', value: 'example' },
    ],
    sans: {
      dns: ['device.example.com'],
      uri: ['urn:udid:1234'],
      email: ['ann@example.com'],
      ip: ['192.0.2.1', '2001:db8::1'],
    },
    usage: 'client',
    days: 2,
    notBefore: Date.UTC(2026, 0, 2, 3, 4, 5),
  });
  const x509 = new X509Certificate(issued.certificatePem);
  const facts = readCertificate(x509.raw);
  assert.ok(facts);
  assert.equal(facts.fingerprint, x509.fingerprint256.replaceAll(':', '').toLowerCase());
  assert.equal(facts.serial, x509.serialNumber.toLowerCase());
  assert.equal(facts.notBefore, Date.UTC(2026, 0, 2, 3, 4, 5));
  assert.equal(facts.notAfter, Date.UTC(2026, 0, 4, 3, 4, 5));
  assert.deepEqual(facts.extendedKeyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.deepEqual(facts.subject, [
    { type: 'CN', value: 'device-1' },
    { type: 'O', value: 'Müller & Söhne' },
    { type: 'OU', value: 'staff' },
    { type: 'C', value: 'DE' },
    { type: 'ST', value: 'Bayern' },
    { type: 'L', value: 'München' },
    { type: 'UID', value: 'ann' },
    { type: 'serialNumber', value: 'C02XYZ' },
    { type: 'emailAddress', value: 'ann@example.com' },
    { type: 'DC', value: 'example' },
  ]);
  assert.deepEqual(facts.altNames, [
    { type: 'email', value: 'ann@example.com' },
    { type: 'dns', value: 'device.example.com' },
    { type: 'uri', value: 'urn:udid:1234' },
    { type: 'ip', value: '192.0.2.1' },
    { type: 'ip', value: '2001:0db8:0000:0000:0000:0000:0000:0001' },
  ]);
});

test('the issuer of a certificate is the hash of the name its authority bears', async () => {
  const issued = await root.issue({ commonName: 'device-1', usage: 'client', days: 2 });
  const anchor = readCertificate(derOf(root.certificatePem));
  const leaf = readCertificate(derOf(issued.certificatePem));
  const name = commonName('test root');
  assert.equal(leaf?.issuer, createHash('sha256').update(name).digest('hex'));
  assert.equal(anchor?.issuer, leaf.issuer);
});

const texts: readonly (readonly [string, number, Buffer | string, string])[] = [
  ['a NUL', STRING.utf8, 'device-1\0.evil', 'device-1\0.evil'],
  ['CR LF', STRING.utf8, 'device-1\r\nCN=x', 'device-1\r\nCN=x'],
  ['separators', STRING.utf8, 'a,CN=b+OU=c/CN=d', 'a,CN=b+OU=c/CN=d'],
  ['spaces around', STRING.printable, ' device-1 ', ' device-1 '],
  ['nothing', STRING.utf8, '', ''],
  ['a byte order mark', STRING.utf8, '\ufeffdevice', '\ufeffdevice'],
  ['bytes that are not UTF-8', STRING.utf8, Buffer.from([0x61, 0xff, 0x62]), 'a\ufffdb'],
  ['an overlong slash', STRING.utf8, Buffer.from([0x61, 0xc0, 0xaf]), 'a\ufffd\ufffd'],
  ['high bytes in an ASCII string', STRING.ia5, Buffer.from([0x61, 0xe9]), 'aé'],
  ['Latin-1', STRING.teletex, Buffer.from([0x61, 0xe9]), 'aé'],
  ['two bytes for a character', STRING.bmp, Buffer.from('\0d\0e\0v'), 'dev'],
  ['a surrogate cut in half', STRING.bmp, Buffer.from([0xd8, 0x00]), '\ufffd'],
  ['something that is no text', 0x04, Buffer.from('ab'), '#04026162'],
];

for (const [name, tag, bytes, expected] of texts) {
  test(`a common name of ${name} is read as it is (T09)`, async () => {
    assert.deepEqual(await subjectOf(commonName(bytes, tag)), [{ type: 'CN', value: expected }]);
  });
}

test('two common names are two (T09)', async () => {
  const twice = rawName([{ oid: OID.CN, value: 'a' }], [{ oid: OID.CN, value: 'b' }]);
  assert.deepEqual(await subjectOf(twice), [
    { type: 'CN', value: 'a' },
    { type: 'CN', value: 'b' },
  ]);
});

test('the parts of a multi-valued RDN are marked (T09)', async () => {
  const parts = [
    { oid: OID.CN, value: 'a' },
    { oid: OID.OU, value: 'b' },
  ];
  assert.deepEqual(await subjectOf(rawName(parts)), [
    { type: '+CN', value: 'a' },
    { type: '+OU', value: 'b' },
  ]);
});

test('an attribute without a name of ours keeps its object identifier', async () => {
  const title = rawName([{ oid: [0x55, 0x04, 0x0c], value: 'x' }]);
  assert.deepEqual(await subjectOf(title), [{ type: '2.5.4.12', value: 'x' }]);
});

test('a certificate may have no subject', async () => {
  assert.deepEqual(await subjectOf(rawName()), []);
});

test('the text for logs is one short line of ASCII (A09)', async () => {
  const issued = await issueOdd({
    signer: root.signer,
    subject: commonName(`a\r\n\u001b[31m\u200b${'x'.repeat(9000)}`),
  });
  const text = readCertificate(derOf(issued.certificatePem))?.subjectText;
  assert.match(text ?? '', /^CN=a\\u000d\\u000a\\u001b\[31m\\u200bx+…$/);
  assert.ok((text ?? '').length < 300);
});

test('a user principal name is taken from its other name', async () => {
  const upn = der(0xa0, der(0x06, OID.upn), der(0xa0, der(0x0c, 'ann@example.com')));
  const other = der(0xa0, der(0x06, [0x2a, 3]), der(0xa0, der(0x0c, 'x')));
  const directory = der(0xa4, commonName('x'));
  const names = certificateExtension('2.5.29.17', der(0x30, upn, other, directory));
  const issued = await issueOdd({ signer: root.signer, extensions: [names] });
  assert.deepEqual(readCertificate(derOf(issued.certificatePem))?.altNames, [
    { type: 'upn', value: 'ann@example.com' },
    { type: 'other', value: '' },
    { type: 'other', value: '' },
  ]);
});

test('no extended key usage is not an empty one (T04)', async () => {
  const issued = await issueOdd({ signer: root.signer, usages: null });
  assert.equal(readCertificate(derOf(issued.certificatePem))?.extendedKeyUsage, null);
});

test('times after 2049 are read', async () => {
  const notAfter = Date.UTC(2060, 0, 1);
  const issued = await issueOdd({ signer: root.signer, notAfter });
  assert.equal(readCertificate(derOf(issued.certificatePem))?.notAfter, notAfter);
});

test('an extension that stands twice makes a certificate unreadable', async () => {
  const names = ['a', 'b'].map((name) =>
    certificateExtension('2.5.29.17', der(0x30, der(0x86, `urn:udid:${name}`))),
  );
  const issued = await issueOdd({ signer: root.signer, extensions: names });
  assert.equal(readCertificate(derOf(issued.certificatePem)), null);
});

test('a certificate of 170 kB is not read (T17)', async () => {
  const padding = certificateExtension('1.2.3.4', der(0x04, Buffer.alloc(170_000)));
  const issued = await issueOdd({ signer: root.signer, extensions: [padding] });
  assert.equal(readCertificate(derOf(issued.certificatePem)), null);
});

test('a certificate of a first version has no extensions', () => {
  const time = der(0x30, der(0x17, '260101000000Z'), der(0x17, '270101000000Z'));
  const algorithm = der(0x30, der(0x06, [0x2a, 3]));
  const name = commonName('device-1');
  const signed = der(0x30, der(0x02, [7]), algorithm, name, time, name, der(0x30));
  const facts = readCertificate(der(0x30, signed, algorithm, der(0x03, [0])));
  assert.equal(facts?.serial, '7');
  assert.equal(facts.extendedKeyUsage, null);
});

test('no damaged byte makes the reader throw', async () => {
  const issued = await root.issue({
    commonName: 'device-1',
    sans: { uri: ['urn:udid:1234'] },
    usage: 'client',
    days: 2,
  });
  const raw = derOf(issued.certificatePem);
  for (let at = 0; at < raw.length; at += 1) {
    for (const octet of [0x00, 0x7f, 0x80, 0xff]) {
      const damaged = Buffer.from(raw);
      damaged[at] = octet;
      assert.doesNotThrow(() => readCertificate(damaged));
    }
    assert.equal(readCertificate(raw.subarray(0, at)), null);
  }
});

async function subjectOf(subject: Buffer): Promise<unknown> {
  const issued = await issueOdd({ signer: root.signer, subject, notAfter: Date.now() + HOUR });
  return readCertificate(derOf(issued.certificatePem))?.subject;
}
