// Revocation lists: all that a real authority publishes is read, nothing forged or partial is adopted (T07).
import assert from 'node:assert/strict';
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import { test } from 'node:test';
import { readCertificate } from '../../../gateway/edge/certificate.ts';
import {
  adoptRevocationLists,
  readRevocationLists,
  verifyRevocationList,
} from '../../../gateway/edge/crl.ts';
import { createAuthority } from '../../../runtime/authority.ts';
import { basicConstraints } from '../../../runtime/signed-certificate.ts';
import { commonName, createRsaKeys, der, derOf, issueOdd, signerOf } from '../../support/pki.ts';

const NOW = Date.UTC(2026, 10, 22);
const DAY = 86_400_000;
const root = await createAuthority({ name: 'test root', days: 30 });
const devices = await root.issueAuthority({ name: 'test devices', days: 30 });
const rootX509 = new X509Certificate(root.certificatePem);
const devicesX509 = new X509Certificate(devices.certificatePem);
const period = { thisUpdate: NOW, nextUpdate: NOW + DAY, number: 1 };

const OIDS = {
  ecdsaSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  ecdsaSha512: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
  rsaSha1: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
  rsaSha384: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
  reasonCode: [0x55, 0x1d, 0x15],
  deltaIndicator: [0x55, 0x1d, 0x1b],
  distributionPoint: [0x55, 0x1d, 0x1c],
  certificateIssuer: [0x55, 0x1d, 0x1d],
} as const;
const TRUE = der(0x01, [0xff]);

test('the lists of two authorities in one PEM file are adopted by the names of their issuers', async () => {
  const serials = ['0a', '7fffffffffffffffffffffffffffffff', 'ff00'];
  const revoked = serials.map((serial) => ({ serial, at: NOW }));
  const pem = [
    'some words before\n',
    await root.revocationList({ ...period, revoked: [] }),
    await devices.revocationList({ ...period, revoked }),
  ].join('');
  const adopted = adopt({ 'lists.pem': Buffer.from(pem) });
  assert.ok(adopted.ok);
  const issuer = readCertificate(derOf((await issued()).certificatePem))?.issuer ?? '';
  assert.equal(adopted.lists.size, 2);
  assert.deepEqual(adopted.lists.get(issuer), {
    issuer,
    thisUpdate: NOW,
    nextUpdate: NOW + DAY,
    serials: new Set(['a', '7fffffffffffffffffffffffffffffff', 'ff00']),
  });
});

test('a certificate and its entry spell the serial number alike', async () => {
  const odd = await issueOdd({ signer: devices.signer, serial: '00f1' });
  const list = await devices.revocationList({ ...period, revoked: [{ serial: '00f1', at: NOW }] });
  const facts = readCertificate(derOf(odd.certificatePem));
  const read = readRevocationLists(Buffer.from(list));
  assert.ok(read.ok && facts);
  assert.ok(read.lists[0]?.list.serials.has(facts.serial));
});

test('a list in DER is read', async () => {
  const pem = await devices.revocationList({ ...period, revoked: [] });
  assert.ok(adopt({ 'list.crl': derOf(pem) }).ok);
});

test('entries with a reason are read', () => {
  const reason = der(0x30, der(0x30, der(0x06, OIDS.reasonCode), der(0x04, der(0x0a, [1]))));
  const read = readRevocationLists(listOf({ entries: [entry([5], reason)] }));
  assert.ok(read.ok);
  assert.deepEqual(read.lists[0]?.list.serials, new Set(['5']));
});

test('a list of 100 000 entries is read whole', () => {
  const entries = Array.from({ length: 100_000 }, (_, index) => {
    const serial = Buffer.alloc(16, 1);
    serial.writeUInt32BE(index, 8);
    return entry(serial);
  });
  const read = readRevocationLists(listOf({ entries }));
  assert.ok(read.ok);
  assert.equal(read.lists[0]?.list.serials.size, 100_000);
});

test('of two lists of one authority the newer one counts, in whatever order they come', async () => {
  const old = { thisUpdate: NOW - DAY, nextUpdate: NOW, number: 1 };
  const files = {
    old: Buffer.from(await root.revocationList({ ...old, revoked: [{ serial: '0a', at: NOW }] })),
    new: Buffer.from(await root.revocationList({ ...period, revoked: [] })),
  };
  for (const order of [files, { new: files.new, old: files.old }]) {
    const adopted = adopt(order);
    assert.ok(adopted.ok);
    assert.deepEqual(
      [...adopted.lists.values()].map((list) => list.serials.size),
      [0],
    );
  }
});

test('while an authority changes its key, what either list revokes is revoked', async () => {
  const next = await createAuthority({ name: 'test root', days: 30 });
  const until = { ...period, nextUpdate: NOW + 2 * DAY };
  const adopted = adoptRevocationLists(
    [
      file('a', await root.revocationList({ ...period, revoked: [{ serial: '0a', at: NOW }] })),
      file('b', await next.revocationList({ ...until, revoked: [{ serial: '0b', at: NOW }] })),
    ],
    [rootX509, new X509Certificate(next.certificatePem)],
  );
  assert.ok(adopted.ok);
  const [list, ...others] = adopted.lists.values();
  assert.deepEqual(others, []);
  assert.deepEqual(list?.serials, new Set(['a', 'b']));
  assert.equal(list.nextUpdate, NOW + DAY);
});

test('lists are signed with RSA or with the larger hashes as well', async () => {
  const keys = await createRsaKeys(2048);
  const rsa = await issueOdd({
    signer: null,
    keys,
    subject: commonName('issuer'),
    extensions: [basicConstraints({ ca: true })],
  });
  const rsaKey = new X509Certificate(rsa.certificatePem);
  const rsaList = listOf({
    algorithm: OIDS.rsaSha384,
    hash: 'sha384',
    key: createPrivateKey(rsa.keyPem),
  });
  assert.equal(reasonOf(rsaList, rsaKey), null);
  const ec = await ecIssuer();
  const ecList = listOf({ algorithm: OIDS.ecdsaSha512, hash: 'sha512', key: ec.key });
  assert.equal(reasonOf(ecList, ec.x509), null);
  assert.match(reasonOf(rsaList, ec.x509) ?? '', /key of another/);
});

const broken: Readonly<Record<string, { bytes: () => Buffer | Promise<Buffer>; reason: RegExp }>> =
  {
    'an empty file': { bytes: () => Buffer.alloc(0), reason: /holds no revocation list/ },
    garbage: { bytes: () => Buffer.from('garbage'), reason: /holds no revocation list/ },
    'DER cut short': {
      bytes: () => listOf({}).subarray(0, -1),
      reason: /longer than what holds it/,
    },
    'DER with bytes behind': {
      bytes: () => Buffer.concat([listOf({}), Buffer.from([0])]),
      reason: /bytes follow/,
    },
    'a PEM block without end': {
      bytes: async () => {
        const pem = await root.revocationList({ ...period, revoked: [] });
        return Buffer.from(pem + pem.slice(0, 200));
      },
      reason: /cut short/,
    },
    'a certificate instead': {
      bytes: () => Buffer.from(root.certificatePem),
      reason: /of another kind/,
    },
    'a list without next update': {
      bytes: () => listOf({ nextUpdate: Buffer.alloc(0) }),
      reason: /no next update/,
    },
    'a list of the first version': { bytes: () => listOf({ version: 0 }), reason: /version 2/ },
    'a delta list': {
      bytes: () =>
        listOf({ extension: der(0x30, der(0x06, OIDS.deltaIndicator), TRUE, der(0x04)) }),
      reason: /delta/,
    },
    'a delta list that calls itself ignorable': {
      bytes: () => listOf({ extension: der(0x30, der(0x06, OIDS.deltaIndicator), der(0x04)) }),
      reason: /delta/,
    },
    'a list of one distribution point': {
      bytes: () =>
        listOf({ extension: der(0x30, der(0x06, OIDS.distributionPoint), TRUE, der(0x04)) }),
      reason: /a part only/,
    },
    'a list with something critical and unknown': {
      bytes: () => listOf({ extension: der(0x30, der(0x06, [0x2a, 3]), TRUE, der(0x04)) }),
      reason: /critical extension 1\.2\.3/,
    },
    'an indirect list': {
      bytes: () => {
        const other = der(0x30, der(0x30, der(0x06, OIDS.certificateIssuer), TRUE, der(0x04)));
        return listOf({ entries: [entry([5], other)] });
      },
      reason: /critical extension 2\.5\.29\.29/,
    },
    'a list that names two algorithms': {
      bytes: () => listOf({ innerAlgorithm: OIDS.rsaSha1 }),
      reason: /two algorithms/,
    },
    'a signature that is no whole number of bytes': {
      bytes: () => listOf({ unusedBits: 1 }),
      reason: /odd signature/,
    },
  };

for (const [name, { bytes, reason }] of Object.entries(broken)) {
  test(`${name} is refused with its reason (T07)`, async () => {
    const adopted = adopt({ good: await goodList(), bad: await bytes() });
    assert.equal(adopted.ok, false);
    assert.deepEqual(
      adopted.problems.map((problem) => problem.file),
      ['bad'],
    );
    assert.match(adopted.problems[0]?.reason ?? '', reason);
  });
}

test('a list forged under the name of an authority is not adopted (T07)', async () => {
  const impostor = await createAuthority({ name: 'test root', days: 30 });
  const forged = await impostor.revocationList({ ...period, revoked: [] });
  assert.deepEqual(adopt({ 'forged.pem': Buffer.from(forged) }), {
    ok: false,
    problems: [
      { file: 'forged.pem', reason: 'its signature is not that of the authority it names' },
    ],
  });
});

test('a list with one bit changed is not adopted (T07)', async () => {
  const bytes = derOf(
    await root.revocationList({ ...period, revoked: [{ serial: '0a', at: NOW }] }),
  );
  const at = bytes.indexOf(Buffer.from([0x02, 0x01, 0x0a]));
  bytes[at + 2] = 0x0b;
  assert.equal(adopt({ changed: bytes }).ok, false);
});

test('a list of an authority nobody configured is not adopted', async () => {
  const foreign = await createAuthority({ name: 'foreign', days: 30 });
  const list = await foreign.revocationList({ ...period, revoked: [] });
  assert.deepEqual(adopt({ 'foreign.pem': Buffer.from(list) }), {
    ok: false,
    problems: [
      { file: 'foreign.pem', reason: 'no configured authority has the name of its issuer' },
    ],
  });
});

test('a list signed by a device under its own name is not adopted', async () => {
  const ec = await ecIssuer([]);
  assert.match(reasonOf(listOf({ key: ec.key }), ec.x509) ?? '', /not an authority/);
});

test('a list signed with SHA-1 is not adopted', async () => {
  const ec = await ecIssuer();
  const list = listOf({ algorithm: OIDS.rsaSha1, key: ec.key });
  assert.match(reasonOf(list, ec.x509) ?? '', /1\.2\.840\.113549\.1\.1\.5 is not accepted/);
});

test('one problem keeps every list out, and all problems are told', async () => {
  const adopted = adopt({ a: Buffer.from('x'), good: await goodList(), b: Buffer.from('y') });
  assert.equal(adopted.ok, false);
  assert.deepEqual(
    adopted.problems.map((problem) => problem.file),
    ['a', 'b'],
  );
});

function adopt(files: Readonly<Record<string, Buffer>>): ReturnType<typeof adoptRevocationLists> {
  const entries = Object.entries(files).map(([name, bytes]) => ({ file: name, bytes }));
  return adoptRevocationLists(entries, [rootX509, devicesX509]);
}

function file(name: string, text: string): { readonly file: string; readonly bytes: Buffer } {
  return { file: name, bytes: Buffer.from(text) };
}

function issued(): ReturnType<typeof devices.issue> {
  return devices.issue({ commonName: 'device-1', usage: 'client', days: 1 });
}

async function goodList(): Promise<Buffer> {
  return Buffer.from(await root.revocationList({ ...period, revoked: [] }));
}

function reasonOf(list: Buffer, authority: X509Certificate): string | null {
  const read = readRevocationLists(list);
  assert.ok(read.ok && read.lists[0] !== undefined);
  return verifyRevocationList(read.lists[0], authority);
}

async function ecIssuer(
  extensions = [basicConstraints({ ca: true })],
): Promise<{ readonly x509: X509Certificate; readonly key: KeyObject }> {
  const { issued: own } = await signerOf({
    signer: null,
    subject: commonName('issuer'),
    extensions,
  });
  return { x509: new X509Certificate(own.certificatePem), key: createPrivateKey(own.keyPem) };
}

function entry(serial: Buffer | readonly number[], extensions: Buffer = Buffer.alloc(0)): Buffer {
  return der(0x30, der(0x02, serial), der(0x17, '261122000000Z'), extensions);
}

// A list of the authority named `issuer`, made by hand.
function listOf(odd: {
  readonly version?: number;
  readonly algorithm?: readonly number[];
  readonly innerAlgorithm?: readonly number[];
  readonly nextUpdate?: Buffer;
  readonly entries?: readonly Buffer[];
  readonly extension?: Buffer;
  readonly unusedBits?: number;
  readonly hash?: string;
  readonly key?: KeyObject;
}): Buffer {
  const algorithm = odd.algorithm ?? OIDS.ecdsaSha256;
  const key = odd.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const signed = der(
    0x30,
    der(0x02, [odd.version ?? 1]),
    der(0x30, der(0x06, odd.innerAlgorithm ?? algorithm)),
    commonName('issuer'),
    der(0x17, '261122000000Z'),
    odd.nextUpdate ?? der(0x17, '261123000000Z'),
    odd.entries ? der(0x30, ...odd.entries) : [],
    odd.extension ? der(0xa0, der(0x30, odd.extension)) : [],
  );
  const signature = sign(odd.hash ?? 'sha256', signed, key);
  const bits = der(0x03, [odd.unusedBits ?? 0], signature);
  return der(0x30, signed, der(0x30, der(0x06, algorithm)), bits);
}
