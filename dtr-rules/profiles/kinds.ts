// Owns the list of profile kinds and making one: compile, then check what was made against the rules.

import type { CompiledSet } from '../compile.ts';
import type { RuleSet } from '../rule.ts';
import { makeAppleRelay, makeRelayDeclaration } from './apple-relay.ts';
import { disagreements, inWords } from './check.ts';
import { makeAndroid, makeChromiumJson, makeChromiumPlist, makeChromiumReg } from './chromium.ts';
import { makeApt, makeCurl, makeEnv, makeGit } from './command-line.ts';
import { type Draft, type Kind, ProfileError, type Serving } from './draft.ts';
import { makeFirefox } from './firefox.ts';
import { lengthNotes, pacText, pacType, type RunPac, waysInPac } from './pac.ts';
import { type Plan, planOf } from './plan.ts';
import { formatEndpoint, type Profile, type ProfileInput } from './profile.ts';
import { makePvd } from './pvd.ts';
import { makeWindows } from './windows.ts';

export const kinds = {
  pac: { summary: 'PAC file, for what speaks TLS to a proxy: browsers', make: makePac },
  chromium: {
    summary: 'Chromium, Chrome and Edge on Linux: a file for the folder of managed policies',
    make: makeChromiumJson,
  },
  'chrome-reg': {
    summary: 'Chrome on Windows: registry file',
    make: (making) => makeChromiumReg(making, 'chrome'),
  },
  'edge-reg': {
    summary: 'Edge on Windows: registry file',
    make: (making) => makeChromiumReg(making, 'edge'),
  },
  'chrome-plist': {
    summary: 'Chrome on macOS: managed preferences',
    make: (making) => makeChromiumPlist(making, 'chrome'),
  },
  'edge-plist': {
    summary: 'Edge on macOS: managed preferences',
    make: (making) => makeChromiumPlist(making, 'edge'),
  },
  firefox: { summary: 'Firefox on all systems: policies.json', make: makeFirefox },
  'apple-relay': {
    summary: 'iOS 17, macOS 14, tvOS 17, visionOS 1 and later: configuration profile with a relay',
    make: makeAppleRelay,
  },
  'apple-relay-declaration': {
    summary: 'iOS 27, macOS 27, visionOS 27: the same as a declaration for an MDM',
    make: makeRelayDeclaration,
  },
  pvd: {
    summary: 'provisioning domain: the rules as the gateway serves them at /.well-known/pvd',
    make: makePvd,
  },
  windows: { summary: 'proxy settings of Windows, by way of an agent', make: makeWindows },
  android: { summary: 'Chrome on Android: managed configuration', make: makeAndroid },
  curl: { summary: '.curlrc', make: makeCurl },
  git: { summary: 'git configuration', make: makeGit },
  apt: { summary: 'apt configuration', make: makeApt },
  env: { summary: 'environment variables for a shell', make: makeEnv },
} as const satisfies Readonly<Record<string, Kind>>;

export type KindName = keyof typeof kinds;

export function makeProfile(
  kind: KindName,
  compiled: CompiledSet,
  input: Omit<ProfileInput, 'set'> & { readonly runPac: RunPac },
): Profile {
  const { set } = compiled;
  const plan = planOf(compiled, input);
  return checked(kinds[kind].make({ ...input, set, plan }), set, plan);
}

/** What a gateway serves to all applications of its devices: the same as the profile of that name. */
export function makeServed(
  kind: 'pac' | 'pvd',
  compiled: CompiledSet,
  input: Omit<Serving, 'plan' | 'set'>,
): Profile {
  const { set } = compiled;
  const plan = planOf(compiled, { ...input, app: null });
  return checked(kinds[kind].make({ ...input, set, plan }), set, plan);
}

function checked(draft: Draft, set: RuleSet, plan: Plan): Profile {
  const notes = [...plan.notes, ...draft.notes];
  if (draft.waysIn !== null) {
    const found = disagreements(set, plan, { notes, waysIn: draft.waysIn });
    if (found.length > 0) {
      throw new ProfileError(
        `the profile would not do what the rules say: ${found.map(inWords).join('; ')}`,
      );
    }
  }
  const notExpressed = notes.map(({ rule, what, consequence }) => ({ rule, what, consequence }));
  return { files: draft.files, notExpressed, changesAt: plan.changesAt };
}

function makePac({ plan, set, facts, runPac }: Serving): Draft {
  const proxy = `HTTPS ${formatEndpoint(facts.gateway)}`;
  const content = pacText(plan, proxy, set.name);
  return {
    files: [{ name: 'zonegate.pac', contentType: pacType, content }],
    notes: lengthNotes(content),
    waysIn: waysInPac(runPac(content), proxy),
  };
}
