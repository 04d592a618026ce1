// Runs the tests a sign-on file carries against its own rules and the zones beside it.
import type { Address } from '../../dtr-rules/address.ts';
import type { DeviceFacts } from './conditions.ts';
import type { Locate } from './place.ts';
import { type Access, judgeSignOn, type SignOnDecision, type SignOnPolicy } from './sign-on.ts';
import { arrivalOf, type CompiledZones, type Standing, standingOf } from './zone.ts';

// Either the address somebody comes from, or the zones it is taken to lie in (a feed's addresses are not in any file).
export type TestOrigin =
  | { readonly kind: 'address'; readonly address: Address }
  | { readonly kind: 'zones'; readonly zones: readonly string[] };

export interface SignOnTest {
  readonly name: string;
  readonly user: string;
  readonly groups: readonly string[];
  readonly origin: TestOrigin;
  readonly client: string;
  readonly device: DeviceFacts;
  readonly at: number | null; // null: the moment the tests run
  readonly expect: Access;
  readonly rule: string | null;
  readonly path: readonly (string | number)[];
}

export interface SignOnFile {
  readonly policy: SignOnPolicy;
  readonly tests: readonly SignOnTest[];
}

export interface SignOnTestFailure {
  readonly test: SignOnTest;
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** What is not written in the files. */
export interface TestWorld {
  readonly locate: Locate | null;
  readonly now: number;
}

export function runSignOnTests(
  file: SignOnFile,
  zones: CompiledZones,
  { locate, now }: TestWorld,
): readonly SignOnTestFailure[] {
  return file.tests.flatMap((test) => {
    const standing = standingAt(test.origin, zones, locate);
    const { user, groups, client, device, at } = test;
    const request = { user, groups, client, device, now: at ?? now, ...standing };
    const decision = judgeSignOn(file.policy, request);
    const wantedRule = test.rule === null || test.rule === decision.rule;
    if (accessOf(decision) === test.expect && wantedRule) return [];
    const message = `test \`${test.name}\` expected ${wanted(test)}, got ${got(decision)}`;
    return [{ test, message, path: test.path }];
  });
}

/** Where somebody stands who comes from there. */
export function standingAt(
  origin: TestOrigin,
  zones: CompiledZones,
  locate: Locate | null,
): Standing {
  if (origin.kind === 'zones') return { blocked: null, zones: origin.zones, unknownZones: [] };
  return standingOf(zones, arrivalOf([origin.address], origin.address, locate));
}

function accessOf(decision: SignOnDecision): Access {
  return decision.action === 'allow' ? 'ALLOW' : 'DENY';
}

function wanted(test: SignOnTest): string {
  return test.rule === null ? test.expect : `${test.expect} by rule \`${test.rule}\``;
}

function got(decision: SignOnDecision): string {
  const by = decision.rule === null ? 'no rule' : `rule \`${decision.rule}\``;
  return decision.action === 'allow' ? `ALLOW by ${by}` : `DENY by ${by} (${decision.reason})`;
}
