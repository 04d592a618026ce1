// A signed configuration profile as others read it: openssl verifies it, and finds in it what was signed.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GatewayFolder, makeGatewayFolder } from '../support/gateway-folder.ts';
import { program, run, zonegate } from '../support/program.ts';

const openssl = program('openssl');
const scep = { url: 'https://ca.test/scep', subject: 'CN=$SERIALNUMBER' };
let made: GatewayFolder;
const path = (name: string) => join(made.folder, name);

async function ssl(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('openssl', args);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** A root, an authority below it, and below that one certificate with each kind of key. */
before(async () => {
  if (openssl.skip !== false) return;
  made = await makeGatewayFolder({
    settings: { profiles: { gateway: 'gw.test:8443', apple: { scep } } },
  });
  const authority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n';
  const leaf = 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n';
  await issue('root', ['ec', 'ec_paramgen_curve:P-256'], authority, null);
  await issue('middle', ['ec', 'ec_paramgen_curve:P-384'], authority, 'root');
  await issue('rsa', ['rsa', 'rsa_keygen_bits:2048'], leaf, 'middle');
  await issue('ec', ['ec', 'ec_paramgen_curve:P-256'], leaf, 'middle');
  const other = [path('ed25519.key'), '-out', path('ed25519.pem'), '-subj', '/CN=other'];
  await ssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', ...other);
});
after(() => made?.[Symbol.asyncDispose]());

async function issue(
  name: string,
  [algorithm = '', option = '']: readonly string[],
  extensions: string,
  by: string | null,
): Promise<void> {
  const [key, request, certificate, extended] = ['key', 'csr', 'pem', 'ext'].map((end) =>
    path(`${name}.${end}`),
  ) as [string, string, string, string];
  await writeFile(extended, extensions);
  await ssl('genpkey', '-algorithm', algorithm, '-pkeyopt', option, '-out', key);
  // Two values in one part of a name: its bytes have to be those of the certificate.
  const subject = ['-multivalue-rdn', '-subj', `/O=Example+OU=Devices/CN=${name}`];
  await ssl('req', '-new', '-key', key, ...subject, '-out', request);
  const issuer =
    by === null
      ? ['-signkey', key]
      : ['-CA', path(`${by}.pem`), '-CAkey', path(`${by}.key`), '-CAcreateserial'];
  const words = ['-days', '2', '-extfile', extended, '-out', certificate];
  await ssl('x509', '-req', '-in', request, ...issuer, ...words);
}

const signing = (name: string) => [
  '--sign-certificate',
  path(`${name}.pem`),
  '--sign-key',
  path(`${name}.key`),
  '--sign-chain',
  path('middle.pem'),
];

async function profile(out: string, ...args: readonly string[]) {
  const config = ['--config', path('zonegate.yaml'), '--out', path(out)];
  return await zonegate('profile', 'apple-relay', ...config, ...args);
}

for (const key of ['rsa', 'ec']) {
  test(`openssl verifies what a key of the kind ${key} has signed`, openssl, async () => {
    assert.equal((await profile('plain.mobileconfig')).code, 0);
    const { code, stderr } = await profile('signed.mobileconfig', ...signing(key));
    assert.equal(code, 0, stderr);
    const signed = ['-inform', 'der', '-in', path('signed.mobileconfig')];
    const trust = ['-CAfile', path('root.pem'), '-purpose', 'any'];
    await ssl('cms', '-verify', ...signed, ...trust, '-out', path('content'));
    assert.deepEqual(await readFile(path('content')), await readFile(path('plain.mobileconfig')));
    // By an older implementation, too; and by one that knows nobody it is refused.
    await ssl('smime', '-verify', ...signed, ...trust, '-out', path('content'));
    const others = ['-CAfile', path('rsa.pem'), '-purpose', 'any'];
    const refused = await run('openssl', ['cms', '-verify', ...signed, ...others]);
    assert.match(refused.stderr, /unable to get .*issuer certificate/);
    const printed = await ssl('cms', '-cmsout', '-print', ...signed);
    assert.match(printed, /digestAlgorithm:\s+algorithm: sha256/);
    assert.match(printed, /signingTime/);
    assert.doesNotMatch(await ssl('asn1parse', ...signed), /inf|cons: OCTET STRING/);
  });
}

test('one byte that is changed is noticed', openssl, async () => {
  await profile('signed.mobileconfig', ...signing('ec'));
  const bytes = await readFile(path('signed.mobileconfig'));
  bytes[bytes.indexOf('gw.test')] = 0x68;
  await writeFile(path('changed.mobileconfig'), bytes);
  const changed = ['-inform', 'der', '-in', path('changed.mobileconfig')];
  const trust = ['-CAfile', path('root.pem'), '-purpose', 'any'];
  const { stderr } = await run('openssl', ['cms', '-verify', ...changed, ...trust]);
  assert.match(stderr, /digest|verification failure/);
});

test(
  'the configuration can say what profiles are signed with; the command goes before',
  openssl,
  async () => {
    const text = await readFile(path('zonegate.yaml'), 'utf8');
    const signs = 'signing: { certificate: rsa.pem, key: rsa.key, chain: middle.pem }';
    await writeFile(path('zonegate.yaml'), text.replace('    scep:', `    ${signs}\n    scep:`));
    const signer = async () => {
      const signed = ['-inform', 'der', '-in', path('signed.mobileconfig')];
      const trust = ['-CAfile', path('root.pem'), '-purpose', 'any'];
      await ssl(
        'cms',
        '-verify',
        ...signed,
        ...trust,
        '-signer',
        path('by'),
        '-out',
        path('content'),
      );
      return await ssl('x509', '-in', path('by'), '-noout', '-subject');
    };
    assert.equal((await profile('signed.mobileconfig')).code, 0);
    assert.match(await signer(), /CN ?= ?rsa/);
    assert.equal((await profile('signed.mobileconfig', ...signing('ec'))).code, 0);
    assert.match(await signer(), /CN ?= ?ec/);
    await writeFile(path('zonegate.yaml'), text);
  },
);

test('what cannot sign says which file, and leaves nothing behind', openssl, async () => {
  const [, , , key = ''] = signing('ec');
  for (const [args, expected] of [
    [['--sign-key', key], /takes --sign-certificate FILE and --sign-key FILE/],
    [['--sign-certificate', path('none'), '--sign-key', key], /`.*none` to sign with: there is no/],
    [
      ['--sign-certificate', path('rsa.pem'), '--sign-key', key],
      /`.*ec\.key` to sign with is not that/,
    ],
    [signing('ed25519').slice(0, 4), /ed25519\.key` to sign with is ed25519, expected RSA or/],
    [
      [...signing('ec').slice(0, 4), '--sign-chain', path('root.pem')],
      /root\.pem` to sign with does not/,
    ],
  ] as const) {
    const { code, stderr } = await profile('refused.mobileconfig', ...args);
    assert.equal(code, 2);
    assert.match(stderr, expected);
    await assert.rejects(readFile(path('refused.mobileconfig')), /ENOENT/);
  }
  const config = ['--config', path('zonegate.yaml')];
  const pac = await zonegate('profile', 'pac', ...config, ...signing('ec'));
  assert.equal(pac.code, 2);
  assert.match(pac.stderr, /only `apple-relay` is signed/);
});
