// Owns what a document is signed with, and what is not taken for it; that others verify it is for `profile-signed.test.ts`.

import assert from 'node:assert/strict';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { before, test } from 'node:test';
import {
  type Authority,
  createAuthority,
  createKeys,
  createSerial,
  type IssuedCertificate,
  sealCertificate,
} from '../../runtime/authority.ts';
import {
  basicConstraints,
  type CertificateTemplate,
  encodeName,
  extension,
  keyUsage,
} from '../../runtime/signed-certificate.ts';
import { readMessageSigner, type SignerPems, signMessage } from '../../runtime/signed-message.ts';

const now = Date.UTC(2027, 0, 1);
const dayMs = 86_400_000;
const leaf = [basicConstraints({ ca: false }), keyUsage('signs handshakes')];
let authority: Authority;
let middle: Authority;
let own: IssuedCertificate;

async function issue(over: Partial<CertificateTemplate> = {}): Promise<IssuedCertificate> {
  return await sealCertificate({
    signer: middle.signer,
    subject: encodeName([{ type: 'CN', value: 'Example profiles' }]),
    extensions: leaf,
    notBefore: now - dayMs,
    notAfter: now + dayMs,
    keys: await createKeys(),
    serial: createSerial(),
    ...over,
  });
}

before(async () => {
  authority = await createAuthority({ name: 'Profile root', days: 10 });
  middle = await authority.issueAuthority({ name: 'Profile authority', days: 10 });
  own = await issue();
});

const pemsOf = ({ certificatePem, keyPem }: IssuedCertificate): SignerPems => ({
  certificate: certificatePem,
  key: keyPem,
  chain: null,
});

test('authorities come from either file, and what is there twice is sent once', () => {
  const { certificatePem: above } = middle;
  const pems = pemsOf(own);
  for (const [certificate, chain, count] of [
    [pems.certificate, null, 0],
    [pems.certificate + above, null, 1],
    [pems.certificate, above + authority.certificatePem, 2],
    [pems.certificate + above, above, 2],
  ] as const) {
    const read = readMessageSigner({ ...pems, certificate, chain }, now);
    assert.ok(read.ok);
    assert.equal(read.signer.chain.length, count);
    const held = signMessage(Buffer.from('text'), read.signer, now).toString('latin1');
    const distinct = new Set(
      [read.signer.certificate, ...read.signer.chain].map((one) => one.raw.toString('latin1')),
    );
    for (const one of distinct) assert.equal(held.split(one).length, 2);
  }
});

test('RSA signs as well as an elliptic curve', async () => {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, hash: 'SHA-256' };
  const publicExponent = new Uint8Array([1, 0, 1]);
  const keys = await webcrypto.subtle.generateKey({ ...algorithm, publicExponent }, true, [
    'sign',
    'verify',
  ]);
  assert.ok(readMessageSigner(pemsOf(await issue({ keys })), now).ok);
});

test('a certificate without a key usage may sign', async () => {
  assert.ok(readMessageSigner(pemsOf(await issue({ extensions: leaf.slice(0, 1) })), now).ok);
});

test('what cannot sign is told, and by which of the files', async () => {
  const encrypted = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: {
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'secret',
    },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
  const keyEncipherment = extension(
    '2.5.29.15',
    new Uint8Array([3, 2, 5, 0x20]).buffer,
    'critical',
  );
  const mayNot = await issue({ extensions: [keyEncipherment] });
  const pems = pemsOf(own);
  for (const [given, at, expected] of [
    [{ ...pems, certificate: 'no PEM' }, 'certificate', /cannot be read, expected PEM/],
    [
      { ...pems, certificate: own.certificatePem.replace('MII', 'AAA') },
      'certificate',
      /cannot be read/,
    ],
    [{ ...pems, key: 'no PEM' }, 'key', /cannot be read, expected PEM without a passphrase/],
    [{ ...pems, key: encrypted }, 'key', /is encrypted.*openssl pkey/],
    [{ ...pems, key: middle.keyPem }, 'key', /not that of the certificate/],
    [{ ...pems, chain: 'no PEM' }, 'chain', /cannot be read/],
    [{ ...pems, chain: authority.certificatePem }, 'chain', /not have the authority/],
    [pemsOf(await issue({ notAfter: now })), 'certificate', /was valid until 2027-01-01T00:00:00/],
    [
      pemsOf(await issue({ notBefore: now + 1000 })),
      'certificate',
      /is valid from 2027-01-01T00:00:01/,
    ],
    [pemsOf(mayNot), 'certificate', /lacks digitalSignature/],
  ] as const) {
    const read = readMessageSigner(given, now);
    assert.ok(!read.ok, String(expected));
    assert.match(read.trouble, expected);
    assert.equal(read.at, at);
  }
});

test('the moment of signing is written as its century wants it', () => {
  const read = readMessageSigner(pemsOf(own), now);
  assert.ok(read.ok);
  for (const [moment, expected] of [
    [Date.UTC(2049, 11, 31, 23, 59, 59, 999), '\x17\x0d491231235959Z'],
    [Date.UTC(2050, 0, 1), '\x18\x0f20500101000000Z'],
  ] as const) {
    const signed = signMessage(Buffer.from('text'), read.signer, moment);
    assert.ok(signed.includes(expected, 0, 'latin1'), expected);
  }
});
