// What the authority issues is what OpenSSL, as Node has it, calls good.
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createAuthority, loadAuthority } from '../../runtime/authority.ts';
import { basicConstraints } from '../../runtime/signed-certificate.ts';
import { createRsaKeys, issueOdd } from '../support/pki.ts';

const DAY_MS = 86_400_000;
const root = await createAuthority({ name: 'test root', days: 30 });

test('an authority signs itself and is an authority', () => {
  const x509 = new X509Certificate(root.certificatePem);
  assert.equal(x509.ca, true);
  assert.equal(x509.subject, 'CN=test root');
  assert.ok(x509.verify(x509.publicKey));
  assert.ok(x509.checkPrivateKey(createPrivateKey(root.keyPem)));
  assert.equal(root.chainPem, root.certificatePem);
});

test('a device certificate bears its names, its usage and its time', async () => {
  const notBefore = Date.UTC(2026, 0, 1);
  const issued = await root.issue({
    commonName: 'device-1',
    subject: [
      { type: 'UID', value: 'ann' },
      { type: 'serialNumber', value: 'C02XYZ' },
    ],
    sans: { uri: ['urn:udid:1234'], ip: ['192.0.2.1', '2001:db8::192.0.2.1'] },
    usage: 'client',
    days: 2,
    notBefore,
  });
  const x509 = new X509Certificate(issued.certificatePem);
  assert.equal(x509.subject, 'CN=device-1\nUID=ann\nserialNumber=C02XYZ');
  assert.equal(
    x509.subjectAltName,
    'URI:urn:udid:1234, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:C000:201',
  );
  assert.deepEqual(x509.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.equal(x509.ca, false);
  assert.equal(Date.parse(x509.validFrom), notBefore);
  assert.equal(Date.parse(x509.validTo), notBefore + 2 * DAY_MS);
  assert.ok(x509.checkIssued(new X509Certificate(root.certificatePem)));
  assert.ok(x509.checkPrivateKey(createPrivateKey(issued.keyPem)));
  assert.equal(x509.serialNumber.toLowerCase(), issued.serial);
  assert.equal(x509.fingerprint256.replaceAll(':', '').toLowerCase(), issued.fingerprint);
});

test('a server certificate is for servers and holds for its names', async () => {
  const issued = await root.issue({
    commonName: 'gateway',
    sans: { dns: ['gw.example.com'] },
    usage: 'server',
    days: 2,
  });
  const x509 = new X509Certificate(issued.certificatePem);
  assert.deepEqual(x509.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(x509.checkHost('gw.example.com'), 'gw.example.com');
});

test('serial numbers are positive, of 16 bytes, and new each time', async () => {
  const request = { commonName: 'device-1', usage: 'client', days: 1 } as const;
  const serials = [await root.issue(request), await root.issue(request)].map((one) => one.serial);
  assert.notEqual(serials[0], serials[1]);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/);
});

test('what an intermediate issues comes with the intermediate, and without the root', async () => {
  const devices = await root.issueAuthority({ name: 'devices', days: 20 });
  const lower = await devices.issueAuthority({ name: 'lower', days: 20 });
  const issued = await lower.issue({ commonName: 'device-1', usage: 'client', days: 1 });
  assert.equal(
    issued.chainPem,
    issued.certificatePem + lower.certificatePem + devices.certificatePem,
  );
  const fromRoot = await root.issue({ commonName: 'device-1', usage: 'client', days: 1 });
  assert.equal(fromRoot.chainPem, fromRoot.certificatePem);
});

test('an authority that is loaded again goes on as the same one', async () => {
  const { certificatePem, keyPem } = root;
  const again = loadAuthority({ certificatePem, keyPem });
  const issued = await again.issue({ commonName: 'device-1', usage: 'client', days: 1 });
  const x509 = new X509Certificate(issued.certificatePem);
  assert.ok(x509.checkIssued(new X509Certificate(root.certificatePem)));
  assert.ok(x509.verify(new X509Certificate(root.certificatePem).publicKey));
});

test('an authority with an RSA key issues too (T00)', async () => {
  const rsa = await issueOdd({
    signer: null,
    keys: await createRsaKeys(2048),
    usages: null,
    extensions: [basicConstraints({ ca: true })],
  });
  const issued = await loadAuthority(rsa).issue({ commonName: 'd', usage: 'client', days: 1 });
  const x509 = new X509Certificate(issued.certificatePem);
  assert.ok(x509.verify(new X509Certificate(rsa.certificatePem).publicKey));
});

test('a key of another authority is refused', async () => {
  const { keyPem } = await createAuthority({ name: 'other', days: 1 });
  const { certificatePem } = root;
  assert.throws(() => loadAuthority({ certificatePem, keyPem }), /key is not that of/);
});

test('a device certificate cannot be loaded as an authority', async () => {
  const issued = await root.issue({ commonName: 'device-1', usage: 'client', days: 1 });
  assert.throws(() => loadAuthority(issued), /not that of an authority/);
});

test('an alternative name that is no address is refused', async () => {
  for (const text of ['gw.example.com', '127.1', 'fe80::1%eth0', '']) {
    const request = { commonName: 'x', sans: { ip: [text] }, usage: 'server', days: 1 } as const;
    await assert.rejects(root.issue(request), /is not an IP address/);
  }
});
