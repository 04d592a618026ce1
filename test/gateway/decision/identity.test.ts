// Identity and revocation as decisions: the table in test/cases/identity.json, and what no table says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type CertificateFacts,
  claimedDevice,
  type FieldRef,
  type IdentityPolicy,
  identify,
  type NameValue,
  type PeerFacts,
} from '../../../gateway/decision/identity.ts';
import {
  judgeRevocation,
  type Revocation,
  type RevocationList,
} from '../../../gateway/decision/revocation.ts';

// Times are milliseconds from now; absent means the good value of `certificateOf` and `policyOf`.
interface CertificateCase {
  readonly fingerprint?: string;
  readonly serial?: string;
  readonly issuer?: string;
  readonly subject?: readonly (readonly [string, string])[];
  readonly altNames?: readonly (readonly [string, string])[];
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly extendedKeyUsage?: readonly string[] | null;
}
interface ListCase {
  readonly serials: readonly string[];
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | null;
}
interface PolicyCase {
  readonly deviceId?: FieldRef;
  readonly user?: FieldRef;
  readonly serial?: FieldRef;
  readonly app?: FieldRef;
  readonly anchors?: readonly string[];
  readonly allowedFingerprints?: readonly string[];
  readonly blockedFingerprints?: readonly string[];
  readonly revocation?: { readonly lists: Readonly<Record<string, ListCase>> };
}
interface IdentityCase {
  readonly name: string;
  readonly threat?: string;
  readonly certificate?: CertificateCase | null;
  readonly issuers?: readonly CertificateCase[];
  readonly trust?: string;
  readonly resumed?: boolean;
  readonly policy?: PolicyCase;
  readonly expect:
    | { readonly identity: Readonly<Record<string, string>> }
    | { readonly reason: string; readonly by: string | null };
}

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const CHAIN: readonly CertificateCase[] = [
  { fingerprint: 'middle-print', serial: 'b2', issuer: 'root' },
  { fingerprint: 'root-print', serial: 'c3', issuer: 'root' },
];

const cases = JSON.parse(
  readFileSync(new URL('../../cases/identity.json', import.meta.url), 'utf8'),
) as readonly IdentityCase[];

for (const entry of cases) {
  const threat = entry.threat === undefined ? '' : ` (${entry.threat})`;
  test(`identity: ${entry.name}${threat}`, () => {
    const result = identify(peerOf(entry), policyOf(entry.policy ?? {}), NOW);
    if ('reason' in entry.expect) {
      assert.deepEqual(result, { ok: false, ...entry.expect });
    } else {
      assert.ok(result.ok, JSON.stringify(result));
      assert.deepEqual({ ...result.identity, ...entry.expect.identity }, result.identity);
    }
  });
}

test('an identity carries what logs and expiry warnings need', () => {
  const result = identify(peerOf({}), policyOf({}), NOW);
  assert.deepEqual(result, {
    ok: true,
    identity: {
      deviceId: '00008110-001a2b3c4d5e',
      user: null,
      serial: null,
      app: null,
      fingerprint: 'leaf-print',
      certificateSerial: 'a1',
      subjectText: 'a device',
      notAfter: NOW + HOUR,
    },
  });
});

test('a refused certificate of ours still says whose it is, a foreign one is not believed', () => {
  assert.equal(claimedDevice(peerOf({}), policyOf({})), '00008110-001a2b3c4d5e');
  assert.equal(claimedDevice(peerOf({ trust: 'SELF_SIGNED' }), policyOf({})), null);
  assert.equal(claimedDevice(peerOf({ certificate: null }), policyOf({})), null);
  assert.equal(claimedDevice(peerOf({ certificate: { subject: [] } }), policyOf({})), null);
});

test('revocation that is switched off is asked about nothing', () => {
  assert.equal(judgeRevocation([], { mode: 'off' }, NOW), null);
});

function peerOf(entry: Partial<IdentityCase>): PeerFacts {
  return {
    certificate: entry.certificate === null ? null : certificateOf(entry.certificate ?? {}),
    issuers: (entry.issuers ?? CHAIN).map(certificateOf),
    trust: entry.trust ?? 'trusted',
    resumed: entry.resumed ?? false,
  };
}

function certificateOf(entry: CertificateCase): CertificateFacts {
  return {
    fingerprint: entry.fingerprint ?? 'leaf-print',
    serial: entry.serial ?? 'a1',
    issuer: entry.issuer ?? 'middle',
    subject: (entry.subject ?? [['CN', '00008110-001A2B3C4D5E']]).map(nameValue),
    altNames: (entry.altNames ?? []).map(nameValue),
    notBefore: NOW + (entry.notBefore ?? -HOUR),
    notAfter: NOW + (entry.notAfter ?? HOUR),
    extendedKeyUsage:
      entry.extendedKeyUsage === undefined ? ['1.3.6.1.5.5.7.3.2'] : entry.extendedKeyUsage,
    subjectText: 'a device',
  };
}

function policyOf(entry: PolicyCase): IdentityPolicy {
  return {
    deviceId: entry.deviceId ?? { from: 'subject', type: 'CN', pattern: '*' },
    user: entry.user ?? null,
    serial: entry.serial ?? null,
    app: entry.app ?? null,
    anchors: new Set(entry.anchors ?? ['root-print', 'leaf-print']),
    allowedFingerprints: entry.allowedFingerprints ? new Set(entry.allowedFingerprints) : null,
    blockedFingerprints: new Set(entry.blockedFingerprints),
    revocation: revocationOf(entry),
  };
}

function revocationOf({ revocation }: PolicyCase): Revocation {
  if (revocation === undefined) return { mode: 'off' };
  const lists = new Map(Object.entries(revocation.lists).map(listOf));
  return { mode: 'lists', lists };
}

function listOf([issuer, entry]: [string, ListCase]): [string, RevocationList] {
  const thisUpdate = NOW + (entry.thisUpdate ?? -HOUR);
  const nextUpdate = entry.nextUpdate === null ? null : NOW + (entry.nextUpdate ?? HOUR);
  return [issuer, { issuer, thisUpdate, nextUpdate, serials: new Set(entry.serials) }];
}

function nameValue([type, value]: readonly [string, string]): NameValue {
  return { type, value };
}
