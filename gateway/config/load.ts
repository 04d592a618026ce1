// Files → one policy snapshot: reads, parses, compiles and tests everything, or names everything that is wrong.

import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type CompiledRules, compileRules } from '../../dtr-rules/compile.ts';
import { parseRuleFile } from '../../dtr-rules/parse.ts';
import type { RuleFile } from '../../dtr-rules/rule.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { type ConfigFile, readConfigFile } from '../../runtime/config-file.ts';
import type { Issue, PlacedIssue } from '../../runtime/issue.ts';
import { keyPairTrouble } from '../../runtime/key-pair.ts';
import type { Policy } from '../decision/policy.ts';
import type { Revocation } from '../decision/revocation.ts';
import { adoptRevocationLists, type RevocationFile } from '../edge/crl.ts';
import type { TlsMaterial } from '../edge/listener.ts';
import type { Upstream } from '../edge/upstream.ts';
import type { InventoryDevice } from '../posture/inventory.ts';
import { endedExceptions, posturePolicy } from './admission.ts';
import { readBundle } from './authorities.ts';
import type { GatewayConfig } from './config.ts';
import { type Dated, datedLists, expiring } from './expiring.ts';
import { readInventoryFile } from './inventory-file.ts';
import {
  checkAppSource,
  checkPacListener,
  checkReferences,
  egressPolicy,
  warnOfApps,
} from './policy-parts.ts';
import { sourcesOf } from './posture-sources.ts';
import { readSignals, type SignalFiles } from './signals.ts';
import { listedServers, readUpstreams } from './upstreams.ts';

/** Everything a gateway is made of, read at one moment. */
export interface Loaded {
  readonly config: GatewayConfig;
  /** What the listeners add once they are bound is missing: see `snapshotOf` in snapshot.ts. */
  readonly policy: Omit<Policy, 'guard'>;
  readonly tls: TlsMaterial;
  readonly rules: ConfigFile<RuleFile>;
  /** By the name of the posture source. */
  readonly inventories: ReadonlyMap<string, readonly InventoryDevice[]>;
  readonly uemAuthorities: ReadonlyMap<string, string>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** By the name of the sender of security events. */
  readonly signals: ReadonlyMap<string, SignalFiles>;
  /** What works today and soon will not, or no longer does: nothing that keeps it from being loaded. */
  readonly warnings: readonly PlacedIssue[];
  /** Every file read, absolute: what to watch. */
  readonly inputs: readonly string[];
}

export type Load =
  | { readonly ok: true; readonly loaded: Loaded }
  | { readonly ok: false; readonly issues: readonly PlacedIssue[] };

/** The configuration value and where each part of it stands. */
export interface Origin {
  readonly config: GatewayConfig;
  readonly file: string;
  readonly folder: string;
  readonly hash: string;
  readonly place: (path: Issue['path']) => { readonly line: number; readonly column: number };
}

export async function load(origin: Origin, now = Date.now()): Promise<Load> {
  const { config } = origin;
  const reader = createReader(origin, now);
  const tls = await readTls(config, reader);
  const revocation = await readRevocation(config, tls.authorities, reader);
  const sources = await readSources(config, reader);
  const signals = await readSignals(
    config.posture.signals,
    (file, path) => reader.bytes(file, path),
    reader.own,
  );
  const upstreams = await readUpstreams(config.upstreams, (file, path) =>
    readProxyAuthority(reader, file, path),
  );
  const rules = await readRules(reader);
  if (rules !== null) {
    for (const issue of checkReferences(rules.config.value, config))
      reader.add(rules.config, issue);
  }
  for (const issue of checkAppSource(config)) reader.own(issue);
  for (const issue of checkPacListener(config)) reader.own(issue);
  for (const issue of egressPolicy(config.egress).issues) reader.own(issue);
  if (reader.issues.length > 0 || rules === null || revocation === null) {
    return { ok: false, issues: reader.issues };
  }

  const { deviceId, user, serial, app } = config.identity;
  const { allowedFingerprints, blockedFingerprints } = config.identity;
  const policy: Loaded['policy'] = {
    version: reader.version(),
    identity: {
      deviceId,
      user,
      serial,
      app,
      revocation,
      anchors: new Set(tls.authorities.map(fingerprintOf)),
      allowedFingerprints: allowedFingerprints && new Set(allowedFingerprints),
      blockedFingerprints: new Set(blockedFingerprints),
    },
    posture: posturePolicy(config.posture),
    rules: rules.compiled,
    egress: egressPolicy(config.egress).value,
    upstreams: listedServers(upstreams),
  };
  const { inputs } = reader;
  const warnings = [
    ...expiring(reader.dated, now).map(reader.placed),
    ...endedExceptions(config.posture.exceptions, now).map(reader.placed),
    ...warnOfApps(rules.config.value, config).map((issue) => placedIn(rules.config, issue)),
  ];
  const read = { tls, ...sources, upstreams, signals, rules: rules.config };
  return { ok: true, loaded: { config, policy, ...read, warnings, inputs } };
}

type Reader = ReturnType<typeof createReader>;

function createReader(origin: Origin, now: number) {
  const issues: PlacedIssue[] = [];
  const inputs: string[] = [];
  const dated: Dated[] = [];
  const hash = createHash('sha256').update(origin.hash);
  const placed = (issue: Issue) => ({ ...issue, file: origin.file, ...origin.place(issue.path) });
  const own = (issue: Issue): void => void issues.push(placed(issue));
  return {
    issues,
    inputs,
    /** What has an end, for the warnings. */
    dated,
    now,
    placed,
    own,
    origin,
    add(config: ConfigFile<unknown>, issue: Issue): void {
      issues.push(placedIn(config, issue));
    },
    addAll: (more: readonly PlacedIssue[]) => void issues.push(...more),
    path(file: string): string {
      const path = resolve(origin.folder, file);
      inputs.push(path);
      return path;
    },
    hashed: (text: string | Buffer) => void hash.update(text),
    version: () => hash.digest('hex').slice(0, 16),
    /** The bytes of a file the configuration names at `path`, or null and an issue there. */
    async bytes(file: string, path: Issue['path']): Promise<Buffer | null> {
      try {
        const bytes = await readFile(this.path(file));
        hash.update(bytes);
        return bytes;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
        own({
          path,
          message: `cannot read \`${file}\` (${code})`,
          hint: 'check the path and its permissions',
        });
        return null;
      }
    },
  };
}

function placedIn(config: ConfigFile<unknown>, issue: Issue): PlacedIssue {
  return { ...issue, file: config.file, ...config.place(issue.path) };
}

async function readTls(config: GatewayConfig, reader: Reader): Promise<TlsMaterial> {
  const certificate = (await reader.bytes(config.tls.certificate, ['tls', 'certificate'])) ?? '';
  const key = (await reader.bytes(config.tls.key, ['tls', 'key'])) ?? '';
  const pair = { certificate: certificate.toString(), key: key.toString() };
  checkKeyPair(pair, config.tls.certificate, reader);
  const authorities: string[] = [];
  for (const [i, file] of config.identity.authorities.entries()) {
    const path = ['identity', 'authorities', i];
    const bytes = await reader.bytes(file, path);
    if (bytes === null) continue;
    const bundle = readBundle(bytes.toString(), file);
    for (const message of bundle.troubles) {
      reader.own({ path, message, hint: 'expected certificates of authorities, as PEM' });
    }
    for (const { pem, notAfter } of bundle.authorities) {
      authorities.push(pem);
      reader.dated.push({ kind: 'device authority', file, path, at: notAfter });
    }
  }
  return { ...pair, authorities };
}

function checkKeyPair(
  { certificate, key }: Pick<TlsMaterial, 'certificate' | 'key'>,
  file: string,
  reader: Reader,
): void {
  if (certificate === '' || key === '') return;
  const message = keyPairTrouble(certificate, key);
  if (message !== null) {
    reader.own({ path: ['tls', 'key'], message, hint: null });
    return;
  }
  const at = new X509Certificate(certificate).validToDate.getTime();
  reader.dated.push({ kind: 'server certificate', file, path: ['tls', 'certificate'], at });
}

function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
}

async function readRevocation(
  config: GatewayConfig,
  authorities: readonly string[],
  reader: Reader,
): Promise<Revocation | null> {
  const named = config.identity.revocation;
  if (named === 'off') return { mode: 'off' };
  const files: RevocationFile[] = [];
  for (const [i, file] of named.entries()) {
    const bytes = await reader.bytes(file, ['identity', 'revocation', i]);
    if (bytes !== null) files.push({ file, bytes });
  }
  const adopted = adoptRevocationLists(
    files,
    authorities.map((pem) => new X509Certificate(pem)),
  );
  if (adopted.ok) {
    reader.dated.push(...datedLists(files, [...adopted.lists.values()], reader.now));
    return { mode: 'lists', lists: adopted.lists };
  }
  for (const { file, reason } of adopted.problems) {
    const path = ['identity', 'revocation', named.indexOf(file)];
    reader.own({ path, message: `\`${file}\`: ${reason}`, hint: null });
  }
  return null;
}

/** What the posture sources need of files, by their names. */
async function readSources(
  { posture }: GatewayConfig,
  reader: Reader,
): Promise<Pick<Loaded, 'inventories' | 'uemAuthorities'>> {
  const inventories = new Map<string, readonly InventoryDevice[]>();
  const uemAuthorities = new Map<string, string>();
  for (const { source, path } of sourcesOf(posture)) {
    if (source.kind === 'inventory') {
      const read = await readInventoryFile(reader.path(source.file));
      if (read.ok) inventories.set(source.name, read.devices);
      else reader.addAll(read.issues);
    } else if (source.authority !== null) {
      const bytes = await reader.bytes(source.authority, ['posture', ...path, 'authority']);
      if (bytes !== null) uemAuthorities.set(source.name, bytes.toString());
    }
  }
  return { inventories, uemAuthorities };
}

async function readProxyAuthority(
  reader: Reader,
  file: string,
  path: Issue['path'],
): Promise<Buffer | null> {
  const bytes = await reader.bytes(file, path);
  if (bytes === null) return null;
  for (const message of readBundle(bytes.toString(), file).troubles) {
    reader.own({ path, message, hint: 'expected certificates of authorities, as PEM' });
  }
  return bytes;
}

/** The rule file, compiled; null when it cannot be used. Its own tests run first: a file whose tests
 *  fail is as broken as one that cannot be parsed. */
async function readRules(
  reader: Reader,
): Promise<{ config: ConfigFile<RuleFile>; compiled: CompiledRules } | null> {
  const read = await readConfigFile(reader.path(reader.origin.config.rules), parseRuleFile);
  if (!read.ok) {
    reader.addAll(read.issues);
    return null;
  }
  reader.hashed(read.config.hash);
  const compiled = compileRules(read.config.value);
  for (const { test, message, path } of runRuleTests(read.config.value, compiled, reader.now)) {
    reader.add(read.config, { path, message: `test \`${test.name}\`: ${message}`, hint: null });
  }
  return { config: read.config, compiled };
}
