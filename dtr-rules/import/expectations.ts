// Owns tests for imported rules: one for each rule that decides something, so that a later edit that takes it away is noticed.

import { formatAddress } from '../address.ts';
import { type CompiledSet, compileRules } from '../compile.ts';
import { globsOf, samplesOf } from '../cover/names.ts';
import { parseRuleFile, parseTargetText } from '../parse.ts';
import type { Destination, Issue, Rule } from '../rule.ts';
import type { Imported, ImportedSet } from './imported.ts';

export interface Expectation {
  readonly target: string;
  readonly action: string;
  readonly rule: string;
}

/** Devices with one application; null is none in particular. */
export interface ImportedTest {
  readonly name: string;
  readonly platform: string | null;
  readonly groups: readonly string[];
  readonly app: string | null;
  readonly exact: readonly Expectation[];
}

export type Expected =
  | { readonly ok: true; readonly tests: readonly ImportedTest[] }
  /** The import made a file that is not valid. */
  | { readonly ok: false; readonly issues: readonly Issue[] };

export function expectationsOf(imported: Imported, now: number): Expected {
  const parsed = parseRuleFile(fileValueOf(imported));
  if (!parsed.ok) return parsed;
  const rules = compileRules(parsed.value);
  const tests = rules.sets.flatMap((set, i) =>
    testsOf(set, imported.sets[i], now).filter(
      ({ platform, groups }) =>
        rules.assign({ posture: 'healthy', platform, groups, tags: [] }) === set,
    ),
  );
  return { ok: true, tests };
}

function testsOf(
  compiled: CompiledSet,
  set: ImportedSet | undefined,
  now: number,
): readonly ImportedTest[] {
  const found = compiled.set.rules.flatMap((rule) => {
    const app = rule.apps?.[0]?.name ?? null;
    const target = rule.destinations
      .map((one) => deciding(one, rule, { compiled, app, now }))
      .find((one) => one !== null);
    return target === undefined || target === null
      ? []
      : [{ app, exact: { target, action: rule.action, rule: rule.id } }];
  });
  const name = compiled.set.name.slice(0, 60);
  return [...Map.groupBy(found, ({ app }) => app)].map(([app, list]) => ({
    name: `${name}${app === null ? '' : ` in ${app}`} is as it was imported`,
    platform: set?.platforms?.[0] ?? null,
    groups: set?.groups?.slice(0, 1) ?? [],
    app,
    exact: list.map(({ exact }) => exact),
  }));
}

interface Asking {
  readonly compiled: CompiledSet;
  readonly app: string | null;
  readonly now: number;
}

/** A target of the destination that its rule decides without resolving a name; null where there is none. */
function deciding(
  destination: Destination,
  rule: Rule,
  { compiled, app, now }: Asking,
): string | null {
  const port = destination.ports?.[0]?.first ?? 443;
  const hosts =
    destination.kind === 'addresses'
      ? [formatHost(destination.range)]
      : namesOf(globsOf(destination));
  return (
    hosts
      .map((host) => `${host}:${port}`)
      .find((text) => {
        const target = parseTargetText(text);
        const match = target === null ? null : compiled.match(target, null, { app, now });
        return match?.kind === 'rule' && match.rule === rule;
      }) ?? null
  );
}

/** The plain names first: they stay tested when a wildcard is written more strictly. */
function namesOf(globs: readonly string[]): readonly string[] {
  const plain = ['', 'www.'].flatMap((fill) => globs.map((glob) => glob.replaceAll('*', fill)));
  return [...plain, ...samplesOf(globs)];
}

function formatHost({ family, first }: { readonly family: 4 | 6; readonly first: bigint }): string {
  const text = formatAddress(family, first);
  return family === 6 ? `[${text}]` : text;
}

/** The rule file as `parseRuleFile` takes it, without what is null. */
export function fileValueOf({ applications, sets }: Imported) {
  return {
    ...(applications.length > 0 && {
      applications: Object.fromEntries(
        applications.map(({ name, kind, identifier }) => [name, { [kind]: identifier }]),
      ),
    }),
    ruleSets: sets.map(({ platforms, groups, ...set }) => ({
      ...set,
      assign: { ...(platforms && { platforms }), ...(groups && { groups }) },
      rules: set.rules.map((rule) =>
        Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== null)),
      ),
    })),
  };
}
