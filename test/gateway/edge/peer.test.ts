// Peers over real TLS: what OpenSSL says of a certificate, and what is still known when a session resumes.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { PeerFacts } from '../../../gateway/decision/identity.ts';
import { peerReader } from '../../../gateway/edge/peer.ts';
import { createAuthority, createKeys } from '../../../runtime/authority.ts';
import { basicConstraints, keyUsage } from '../../../runtime/signed-certificate.ts';
import {
  certificateExtension,
  commonName,
  createRsaKeys,
  der,
  issueOdd,
  signerOf,
} from '../../support/pki.ts';

interface Keyed {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly chainPem: string;
}

interface Listener {
  readonly port: number;
  readonly version: tls.SecureVersion;
  readonly authorities: readonly X509Certificate[];
  read: ReturnType<typeof peerReader>; // replaced when a test configures other authorities
}

const root = await createAuthority({ name: 'test root', days: 30 });
const devices = await root.issueAuthority({ name: 'test devices', days: 20 });
const sans = { dns: ['localhost'] };
const server = await root.issue({ commonName: 'gateway', sans, usage: 'server', days: 2 });
const device = await devices.issue({ commonName: 'device-1', usage: 'client', days: 2 });

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
// nodejs/node#65579: the certificates a device sends above its own are not shown to the server.
const SENT = { skip: /^v(24\.21|26\.[89])\./.test(process.version) };

for (const version of VERSIONS) {
  test(
    `${version}: a device below an intermediate is trusted, with its chain (T00)`,
    SENT,
    async (t) => {
      const { facts } = await connect(await listen(t, { version }), device);
      assert.equal(facts.trust, 'trusted');
      assert.equal(facts.resumed, false);
      assert.equal(facts.certificate?.fingerprint, device.fingerprint);
      assert.equal(facts.certificate.serial, device.serial);
      assert.deepEqual(chainOf(facts), [printOf(devices), printOf(root)]);
    },
  );

  test(`${version}: a resumed session yields the facts of the full handshake (T11)`, async (t) => {
    const listener = await listen(t, { version });
    const first = await connect(listener, device);
    const second = await connect(listener, device, first.session);
    assert.equal(first.facts.trust, 'trusted');
    assert.deepEqual(second.facts, { ...first.facts, resumed: true });
  });

  test(
    `${version}: a forgotten device keeps its chain, though a resumed session lost it`,
    SENT,
    async (t) => {
      const listener = await listen(t, { version, maxPeers: 1 });
      const other = await devices.issue({ commonName: 'device-2', usage: 'client', days: 2 });
      const first = await connect(listener, device);
      await connect(listener, other); // takes the only place
      const again = await connect(listener, device, first.session);
      assert.deepEqual(again.facts, { ...first.facts, resumed: true });
    },
  );

  test(`${version}: nobody becomes somebody by resuming a session without certificate (T12)`, async (t) => {
    const listener = await listen(t, { version });
    const first = await connect(listener, null);
    const second = await connect(listener, null, first.session);
    assert.equal(first.facts.certificate, null);
    assert.equal(second.facts.certificate, null);
    assert.equal(second.facts.resumed, true);
  });

  test(`${version}: a session from before the authorities changed is not trusted (T11)`, async (t) => {
    const listener = await listen(t, { version });
    const first = await connect(listener, device);
    const other = await createAuthority({ name: 'test root', days: 30 });
    listener.read = readerOf([new X509Certificate(other.certificatePem)]);
    const second = await connect(listener, device, first.session);
    assert.equal(second.facts.resumed, true);
    assert.equal(second.facts.trust, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
  });
}

test('a handshake without known issuers is trusted alone, and its session only while remembered', () => {
  const read = readerOf([new X509Certificate(root.certificatePem)]);
  const first = read(socketOf({ resumed: false }));
  assert.equal(first.trust, 'trusted');
  assert.deepEqual(first.issuers, []);
  assert.equal(read(socketOf({ resumed: true })).trust, 'trusted');
  const restarted = readerOf([new X509Certificate(root.certificatePem)]);
  const resumed = restarted(socketOf({ resumed: true }));
  assert.equal(resumed.trust, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
});

test('authorities of the file are part of the chain when the device sends none', async (t) => {
  const authorities = [root, devices];
  const bare = { ...device, chainPem: device.certificatePem };
  const { facts } = await connect(await listen(t, { authorities }), bare);
  assert.equal(facts.trust, 'trusted');
  assert.deepEqual(chainOf(facts), [printOf(devices), printOf(root)]);
});

test('of a renewed intermediate the newest certificate counts', async (t) => {
  const day = 86_400_000;
  const keys = await createKeys();
  const shape = {
    signer: root.signer,
    subject: commonName('renewed'),
    keys,
    extensions: authorityExtensions(),
  };
  const old = await signerOf({ ...shape, notBefore: Date.now() - 9 * day });
  const renewed = await signerOf({ ...shape, notBefore: Date.now() - day });
  const leaf = await issueOdd({ signer: renewed.signer, subject: commonName('device-3') });
  const authorities = [root, old.issued, renewed.issued];
  const { facts } = await connect(await listen(t, { authorities }), leaf);
  assert.deepEqual(chainOf(facts), [renewed.issued.fingerprint, printOf(root)]);
});

test('a device that renews its intermediate is not held to the old one', async () => {
  const day = 86_400_000;
  const keys = await createKeys();
  const subject = commonName('short-lived');
  const shape = { signer: root.signer, subject, keys, extensions: authorityExtensions() };
  const old = await signerOf({ ...shape, notAfter: Date.now() + day });
  const renewed = await signerOf({ ...shape, notAfter: Date.now() + 3 * day });
  const leaf = await issueOdd({ signer: old.signer, notAfter: Date.now() + 3 * day });
  let now = Date.now();
  const authorities = [new X509Certificate(root.certificatePem)];
  const read = peerReader({ authorities, maxPeers: 10, now: () => now });
  const send = (above: Keyed) => socketOf({ resumed: false, leaf, above });
  assert.deepEqual(chainOf(read(send(old.issued))), [old.issued.fingerprint, printOf(root)]);
  now += 2 * day;
  assert.deepEqual(chainOf(read(send(renewed.issued))), [
    renewed.issued.fingerprint,
    printOf(root),
  ]);
  assert.deepEqual(chainOf(read(send(old.issued))), [renewed.issued.fingerprint, printOf(root)]);
});

test('a twin of an intermediate that only looks like it is no part of the chain', async (t) => {
  const keys = await createKeys();
  const extensions = authorityExtensions();
  const subject = commonName('twinned');
  const real = await signerOf({ signer: root.signer, subject, keys, extensions });
  const impostor = await createAuthority({ name: 'test root', days: 30 });
  const twin = await signerOf({ signer: impostor.signer, subject, keys, extensions });
  const leaf = await issueOdd({ signer: real.signer, subject: commonName('device-4') });
  // OpenSSL finds the real one in the store; Node's own chain shows the twin that was sent.
  const chainPem = leaf.certificatePem + twin.issued.certificatePem + impostor.certificatePem;
  const listener = await listen(t, { authorities: [root, real.issued] });
  const { facts } = await connect(listener, { ...leaf, chainPem });
  assert.equal(facts.trust, 'trusted');
  assert.deepEqual(chainOf(facts), [real.issued.fingerprint, printOf(root)]);
});

// Node has no code of its own for some of OpenSSL's: they are UNSPECIFIED.
const strangers: Readonly<Record<string, { code: string; make: () => Promise<Keyed> }>> = {
  'an authority copying the trusted name with another key (T02)': {
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    make: async () => {
      const foreign = await createAuthority({ name: 'test root', days: 30 });
      return await foreign.issue({ commonName: 'device-1', usage: 'client', days: 2 });
    },
  },
  'nobody but itself (T02)': {
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    make: () => issueOdd({ signer: null }),
  },
  'the right authority, for a time that is over (T03)': {
    code: 'CERT_HAS_EXPIRED',
    make: () => issueOdd({ signer: root.signer, notAfter: Date.now() - 60_000 }),
  },
  'the right authority, for a time to come (T03)': {
    code: 'CERT_NOT_YET_VALID',
    make: () => issueOdd({ signer: root.signer, notBefore: Date.now() + 600_000 }),
  },
  'the right authority, for servers (T04)': {
    code: 'INVALID_PURPOSE',
    make: () => issueOdd({ signer: root.signer, usages: ['1.3.6.1.5.5.7.3.1'] }),
  },
  'a device that is no authority (T05)': {
    code: 'INVALID_PURPOSE',
    make: () => below({ extensions: [] }),
  },
  'an authority that may have none below it (T05)': {
    code: 'PATH_LENGTH_EXCEEDED',
    make: async () => {
      const pathLengthZero = der(0x30, der(0x01, [0xff]), der(0x02, [0]));
      const extensions = [
        certificateExtension('2.5.29.19', pathLengthZero, 'critical'),
        keyUsage('signs certificates'),
      ];
      const upper = await signerOf({
        signer: root.signer,
        subject: commonName('upper'),
        extensions,
      });
      const subject = commonName('lower');
      const own = { signer: upper.signer, subject, extensions: authorityExtensions() };
      const lower = await signerOf(own);
      const leaf = await issueOdd({ signer: lower.signer });
      const above = lower.issued.certificatePem + upper.issued.certificatePem;
      return { ...leaf, chainPem: leaf.certificatePem + above };
    },
  },
  'an authority for other names (T05)': {
    code: 'UNSPECIFIED',
    make: () => {
      // permittedSubtrees: directoryName O=allowed
      const allowed = der(
        0x30,
        der(0x31, der(0x30, der(0x06, [0x55, 4, 10]), der(0x0c, 'allowed'))),
      );
      const constraints = der(0x30, der(0xa0, der(0x30, der(0xa4, allowed))));
      const limit = certificateExtension('2.5.29.30', constraints, 'critical');
      return below({ extensions: [...authorityExtensions(), limit] });
    },
  },
  'the right name, with a signature of another (T05)': {
    code: 'CERT_SIGNATURE_FAILURE',
    make: async () => {
      const { key } = (await createAuthority({ name: 'x', days: 1 })).signer;
      return await issueOdd({ signer: { ...root.signer, key } });
    },
  },
  'the right authority, with SHA-1 (T08)': {
    code: 'UNSPECIFIED',
    make: () => issueOdd({ signer: root.signer, hash: 'SHA-1' }),
  },
  'the right authority, for an RSA key of 1024 bits (T08)': {
    code: 'UNSPECIFIED',
    make: async () => issueOdd({ signer: root.signer, keys: await createRsaKeys(1024) }),
  },
};

for (const [name, { code, make }] of Object.entries(strangers)) {
  test(`a certificate by ${name} is not trusted`, async (t) => {
    const { facts } = await connect(await listen(t, {}), await make());
    assert.equal(facts.trust, code);
    assert.notEqual(facts.certificate, null);
    assert.deepEqual(facts.issuers, []);
  });
}

test('a certificate that OpenSSL takes and we cannot read is nobody', async (t) => {
  const twice = certificateExtension('1.2.3.4', der(0x05));
  const odd = await issueOdd({ signer: root.signer, extensions: [twice, twice] });
  const { facts } = await connect(await listen(t, {}), odd);
  assert.equal(facts.trust, 'UNREADABLE_CERTIFICATE');
  assert.equal(facts.certificate, null);
});

function authorityExtensions(): ReturnType<typeof basicConstraints>[] {
  return [basicConstraints({ ca: true }), keyUsage('signs certificates')];
}

async function below(shape: {
  readonly extensions: ReturnType<typeof keyUsage>[];
}): Promise<Keyed> {
  const subject = commonName('in between');
  const middle = await signerOf({ signer: root.signer, subject, ...shape });
  const leaf = await issueOdd({ signer: middle.signer });
  return { ...leaf, chainPem: leaf.certificatePem + middle.issued.certificatePem };
}

async function listen(
  t: TestContext,
  options: {
    readonly version?: tls.SecureVersion;
    readonly authorities?: readonly { readonly certificatePem: string }[];
    readonly maxPeers?: number;
  },
): Promise<Listener> {
  const { version = 'TLSv1.3', authorities = [root], maxPeers = 10 } = options;
  const own = tls.createServer({
    key: server.keyPem,
    cert: server.chainPem,
    ca: authorities.map(({ certificatePem }) => certificatePem),
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=2',
    requestCert: true,
    rejectUnauthorized: false,
  });
  const x509s = authorities.map(({ certificatePem }) => new X509Certificate(certificatePem));
  own.listen(0, '127.0.0.1');
  await once(own, 'listening');
  t.after(() => own.close());
  const { port } = own.address() as AddressInfo;
  const listener: Listener = {
    port,
    version,
    authorities: x509s,
    read: readerOf(x509s, maxPeers),
  };
  own.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify(listener.read(socket)));
  });
  return listener;
}

// A trusted connection of which Node shows the device's certificate and at most one above it.
function socketOf(session: {
  readonly resumed: boolean;
  readonly leaf?: Keyed;
  readonly above?: Keyed;
}): tls.TLSSocket {
  const [leaf, above] = [session.leaf ?? device, session.above].map(
    (one) => one && new X509Certificate(one.certificatePem),
  );
  const sent = { ...leaf?.toLegacyObject(), issuerCertificate: above?.toLegacyObject() };
  const socket: Partial<tls.TLSSocket> = {
    authorized: true,
    isSessionReused: () => session.resumed,
    getPeerX509Certificate: () => leaf,
    getPeerCertificate: () => sent as tls.DetailedPeerCertificate,
  };
  return socket as tls.TLSSocket;
}

function readerOf(
  authorities: readonly X509Certificate[],
  maxPeers = 10,
): ReturnType<typeof peerReader> {
  return peerReader({ authorities, maxPeers, now: Date.now });
}

async function connect(
  { port }: Listener,
  identity: Keyed | null,
  session?: Buffer,
): Promise<{ readonly facts: PeerFacts; readonly session: Buffer }> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: root.certificatePem,
    ciphers: 'DEFAULT@SECLEVEL=0', // a weak key must get as far as the server
    ...(identity && { key: identity.keyPem, cert: identity.chainPem }),
    ...(session && { session }),
  });
  let ticket: Buffer = Buffer.alloc(0);
  socket.on('session', (given: Buffer) => {
    ticket = given;
  });
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return { facts: JSON.parse(text) as PeerFacts, session: ticket };
}

function chainOf(facts: PeerFacts): readonly string[] {
  return facts.issuers.map(({ fingerprint }) => fingerprint);
}

function printOf({ certificatePem }: { readonly certificatePem: string }): string {
  return new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
}
