// Owns which destinations stand in both rule sets as they were and in the same order: where only such decide, nothing
// changes, so that a long list with one changed rule is compared around that rule only.

import { type Claim, lowest } from '../cover/claims.ts';
import type { RuleSet } from '../rule.ts';
import { keyOf, outcomeOf } from './outcome.ts';

/** From a destination before to the same one after. */
export type Alignment = ReadonlyMap<Claim, Claim>;

interface Pair {
  readonly before: Claim;
  readonly after: Claim;
}

interface Chain {
  readonly pair: Pair;
  readonly previous: Chain | null;
}

/** As many as keep their order: the longest rising sequence among those that are in both. */
export function alignClaims(
  before: { readonly set: RuleSet; readonly claims: readonly Claim[] },
  after: { readonly set: RuleSet; readonly claims: readonly Claim[] },
): Alignment {
  const waiting = Map.groupBy(after.claims.toReversed(), (claim) => textOf(claim, after.set));
  const pairs = before.claims.flatMap((claim): readonly Pair[] => {
    const other = waiting.get(textOf(claim, before.set))?.pop();
    return other === undefined ? [] : [{ before: claim, after: other }];
  });
  const chains: Chain[] = [];
  for (const pair of pairs) {
    const at = lowest(chains, (chain) => chain.pair.after.order >= pair.after.order);
    chains[at] = { pair, previous: chains[at - 1] ?? null };
  }
  const aligned = new Map<Claim, Claim>();
  for (let chain = chains.at(-1) ?? null; chain !== null; chain = chain.previous)
    aligned.set(chain.pair.before, chain.pair.after);
  return aligned;
}

/** All that the comparison looks at. */
function textOf(claim: Claim, set: RuleSet): string {
  const { box, globs, range, destination } = claim;
  const apps = box.apps === null ? null : [...box.apps].toSorted();
  const { ports, fromMs, untilMs } = box;
  const outcome = keyOf(outcomeOf(claim, set));
  // `Infinity` has no JSON of its own, so the moments are texts.
  const moments = `${fromMs} ${untilMs}`;
  return JSON.stringify([outcome, destination.kind, ports, apps, moments, globs, range?.text]);
}
