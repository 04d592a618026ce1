// Runs the decision tables: what a device asks → which target, and who asks for what → the whole outcome.
// A new case needs no TypeScript.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Address } from '../../dtr-rules/address.ts';
import type { Target } from '../../dtr-rules/rule.ts';
import type { DeviceBlock, DeviceFacts } from '../../gateway/decision/block.ts';
import { decide } from '../../gateway/decision/decide.ts';
import type { Refusal, Tunnel } from '../../gateway/decision/decision.ts';
import { identify } from '../../gateway/decision/identity.ts';
import { type Candidate, pin } from '../../gateway/decision/pin.ts';
import type { Policy } from '../../gateway/decision/policy.ts';
import type { PostureReport } from '../../gateway/decision/posture.ts';
import { allReasons, type Reason, type Stage, stageOf } from '../../gateway/decision/reasons.ts';
import { rejudge } from '../../gateway/decision/rejudge.ts';
import {
  formatTarget,
  parseConnectTarget,
  parseForwardTarget,
} from '../../gateway/decision/target.ts';
import {
  addressOf,
  DEVICE,
  healthyReport,
  NOW,
  type PolicyWords,
  peer,
  policyFor,
} from './decision/policy-for.ts';

interface ReportWords extends Partial<Omit<PostureReport, 'fetchedAt' | 'lastSeen'>> {
  readonly ageMs?: number;
  readonly seenAgeMs?: number;
}

/** What may differ from the world at the top of the table. */
interface World extends Partial<PolicyWords> {
  readonly report?: ReportWords | null;
  /** False: the UEM could not be asked. */
  readonly known?: boolean;
  /** Blocked, without an end or until so long after now. */
  readonly block?: { readonly endsInMs?: number };
  readonly blockedFingerprints?: readonly string[];
}

/** What an open connection meets later; a reason closes it. */
interface Later extends World {
  readonly when: string;
  readonly gives: Reason | null;
}

interface AdmissionCase extends World {
  readonly name: string;
  readonly threat?: string;
  readonly target: string;
  /** What the name resolves to, if anybody asks. */
  readonly addresses?: readonly string[];
  readonly expect: Readonly<Record<string, unknown>>;
  readonly later?: readonly Later[];
}

interface TargetCase {
  readonly name: string;
  readonly threat?: string;
  readonly accept?: Readonly<Record<string, string>>;
  readonly refuse?: readonly string[];
}
interface ForwardCase {
  readonly name: string;
  readonly threat?: string;
  readonly accept?: Readonly<
    Record<string, { readonly target: string; readonly authority: string; readonly path: string }>
  >;
  readonly refuse?: Readonly<Record<string, readonly string[]>>;
}

interface Judged {
  readonly verdict: Tunnel | Refusal;
  readonly candidates: readonly Candidate[];
  /** Whether the name was looked up, and what it gave; a literal is there from the start. */
  readonly lookedUp: boolean;
  readonly addresses: readonly Address[] | null;
}

const admission = readCases<{
  readonly world: PolicyWords;
  readonly cases: readonly AdmissionCase[];
}>('admission');
const targets = readCases<{
  readonly connect: readonly TargetCase[];
  readonly forward: readonly ForwardCase[];
}>('targets');

for (const entry of admission.cases) {
  test(`admission: ${titleOf(entry)}`, () => {
    const target = targetOf(entry.target);
    const judged = judge(entry, target);
    assert.deepEqual(outcomeOf(judged), entry.expect);
    for (const later of entry.later ?? []) {
      const { target: _, ...world } = { ...entry, ...later };
      assert.equal(rejudgeIn(world, judged, target), later.gives, later.when);
    }
  });
}

for (const entry of targets.connect) {
  test(`CONNECT target: ${titleOf(entry)}`, () => {
    for (const [text, canonical] of Object.entries(entry.accept ?? {})) {
      const target = parseConnectTarget(text);
      assert.equal(target && formatTarget(target), canonical, JSON.stringify(text));
    }
    for (const text of entry.refuse ?? []) {
      assert.equal(parseConnectTarget(text), null, JSON.stringify(text));
    }
  });
}

for (const entry of targets.forward) {
  test(`absolute-form target: ${titleOf(entry)}`, () => {
    for (const [text, { target, ...rest }] of Object.entries(entry.accept ?? {})) {
      const parsed = parseForwardTarget(text);
      assert.ok(typeof parsed !== 'string', text);
      assert.deepEqual({ ...parsed, target: formatTarget(parsed.target) }, { target, ...rest });
    }
    for (const [reason, texts] of Object.entries(entry.refuse ?? {})) {
      for (const text of texts)
        assert.equal(parseForwardTarget(text), reason, JSON.stringify(text));
    }
  });
}

// A new reason of a decision wants a case: one row in `reasons.ts`, one here.
const fileOf: Readonly<Partial<Record<Stage, string>>> = {
  identity: 'identity',
  posture: 'posture',
  rules: 'admission',
  egress: 'admission',
  address: 'admission',
};

test('every reason of a decision stands in a case file', () => {
  const missing = allReasons.filter((reason) => {
    const file = fileOf[stageOf(reason)];
    if (file === undefined) return false;
    // Whole outcomes may have it as well: a block is no matter of the report.
    const text = JSON.stringify([readCases(file), readCases('admission')]);
    return !text.includes(`:"${reason}"`);
  });
  assert.deepEqual(missing, []);
});

/** What the edge does, without the world: decide, resolve when it comes to that, pin. */
function judge(entry: AdmissionCase, target: Target): Judged {
  const policy = policyIn(entry);
  const who = identify(peer, policy.identity, NOW);
  assert.ok(who.ok);
  const unfit = new Set<string>();
  const question = { identity: who.identity, posture: factsIn(entry), target, unfit };
  const resolved = entry.addresses?.map(addressOf) ?? null;
  let addresses = target.address && [target.address];
  let lookedUp = false;
  const resolve = () => {
    assert.ok(resolved, 'the case has no addresses for the name');
    lookedUp = true;
    return resolved;
  };

  let verdict = decide({ ...question, addresses }, policy, NOW);
  if (verdict.action === 'resolve') {
    addresses = resolve();
    verdict = decide({ ...question, addresses }, policy, NOW);
  }
  assert.ok(verdict.action !== 'resolve', 'a resolved target is still unresolved');
  if (verdict.action === 'refuse') return { verdict, candidates: [], lookedUp, addresses };
  if (verdict.upstream === null) addresses ??= resolve();
  if (addresses === null) return { verdict, candidates: [], lookedUp, addresses };
  const pinned = pin(verdict, target, addresses, policy);
  if (pinned.action === 'refuse') return { verdict: pinned, candidates: [], lookedUp, addresses };
  return { verdict, candidates: pinned.candidates, lookedUp, addresses };
}

function outcomeOf({ verdict, candidates, lookedUp }: Judged): Record<string, unknown> {
  if (verdict.action === 'refuse') {
    const { action, reason, by, trail } = verdict;
    return { action, reason, by, passed: trail.map(({ stage }) => stage).join(' '), lookedUp };
  }
  const { action, set, rule, pool, upstream, idleMs, lifetimeMs } = verdict;
  return {
    action,
    set,
    rule,
    pool,
    ...(upstream === null ? {} : { upstream }),
    ...(idleMs === null ? {} : { idleMs }),
    ...(lifetimeMs === null ? {} : { lifetimeMs }),
    candidates: candidates.map(({ address, source }) => `${address.text} from ${source.text}`),
    lookedUp,
  };
}

/** The first candidate carries the connection, or the upstream proxy does. */
function rejudgeIn(world: World, { verdict, candidates, addresses }: Judged, target: Target) {
  assert.ok(verdict.action === 'tunnel', 'only an open connection meets anything later');
  const { upstream, sources } = verdict;
  const dialled = upstream === null ? candidates[0] : null;
  const address = dialled?.address ?? addressOf('192.0.2.80');
  const source = dialled?.source ?? sources.v4[0];
  assert.ok(source);
  const heard = { source: null, app: null };
  const server = upstream === null ? null : '192.0.2.80:3128';
  const standing = { peer, heard, target, addresses, upstream, server, address, source };
  return rejudge(standing, factsIn(world), policyIn(world), NOW);
}

function policyIn(world: World): Policy {
  const policy = policyFor({ ...admission.world, ...world });
  const blockedFingerprints = new Set(world.blockedFingerprints);
  return { ...policy, identity: { ...policy.identity, blockedFingerprints } };
}

function factsIn({ report = {}, known = true, block: words }: World): DeviceFacts {
  const block = words === undefined ? null : blockIn(words);
  if (report === null) return { report, known, block };
  const { ageMs = 0, seenAgeMs = 0, ...rest } = report;
  const moments = { fetchedAt: NOW - ageMs, lastSeen: NOW - seenAgeMs };
  return { report: { ...healthyReport, ...rest, ...moments }, known, block };
}

function blockIn({ endsInMs }: NonNullable<World['block']>): DeviceBlock {
  const until = endsInMs === undefined ? null : NOW + endsInMs;
  return { deviceId: DEVICE, reason: 'left in a taxi', by: 'sam', since: NOW - 1, until };
}

function targetOf(text: string): Target {
  const target = parseConnectTarget(text);
  assert.ok(target, text);
  return target;
}

function titleOf({ name, threat }: { readonly name: string; readonly threat?: string }): string {
  return threat === undefined ? name : `${name} (${threat})`;
}

function readCases<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../cases/${file}.json`, import.meta.url), 'utf8')) as T;
}
