// What the policy commands ask with: the files as they are now, and a device described in words.

import {
  type DeviceFacts,
  type Platform,
  type Risk,
  unknownDevice,
} from '../../idp-zone/decision/conditions.ts';
import type { TestOrigin } from '../../idp-zone/decision/run-tests.ts';
import { standingAt } from '../../idp-zone/decision/run-tests.ts';
import { evaluateRule, judgeSignOn } from '../../idp-zone/decision/sign-on.ts';
import { compileZones } from '../../idp-zone/decision/zone.ts';
import { joined } from '../../idp-zone/edge/live-zones.ts';
import { findConfigFile } from '../config-file.ts';
import { type IdpPart, loadEverything } from '../load.ts';
import { plural, sayIssues, UsageError } from '../output.ts';

/** Null when the files have issues, which are told. */
export async function readIdp(config: string | undefined): Promise<IdpPart | null> {
  const read = await loadEverything(findConfigFile(config));
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return null;
  }
  if (read.all.idp === null)
    throw new UsageError('this configuration has no `idp`, so it has no sign-on policy');
  return read.all.idp;
}

export const deviceWords = {
  registered: { registered: true },
  unregistered: { registered: false, managed: false, compliant: false },
  managed: { registered: true, managed: true },
  unmanaged: { registered: true, managed: false },
  compliant: { compliant: true },
  'non-compliant': { compliant: false },
} as const satisfies Record<string, Partial<DeviceFacts>>;

export interface DeviceWords {
  readonly device?: readonly (keyof typeof deviceWords)[];
  readonly platform?: Platform;
  readonly assurance?: readonly string[];
  readonly risk?: Risk;
}

export function deviceOf({ device = [], platform, assurance, risk }: DeviceWords): DeviceFacts {
  const facts = device.map((word): Partial<DeviceFacts> => deviceWords[word]);
  for (const key of ['registered', 'managed', 'compliant'] as const) {
    const said = new Set(facts.flatMap((one) => one[key] ?? []));
    if (said.size > 1)
      throw new UsageError(`--device ${device.join(' ')} says two things about one device`);
  }
  return {
    ...Object.assign({}, unknownDevice, ...facts),
    platform: platform ?? null,
    assurances: assurance ?? null,
    risk: risk ?? null,
  };
}

export interface Question {
  readonly user: string;
  readonly groups: readonly string[];
  readonly client: string;
  readonly origin: TestOrigin;
  readonly device: DeviceFacts;
  readonly now: number;
}

/** Asks the decision function of the sign-in service; feeds count as not read. */
export function createAsking({ policy: { zones, locate, signOn } }: IdpPart) {
  const compiled = compileZones(zones.map((zone) => joined(zone)));
  return ({ origin, ...question }: Question) => {
    const request = { ...question, ...standingAt(origin, compiled, locate) };
    return {
      standing: request,
      decision: judgeSignOn(signOn, request),
      evaluations: signOn.rules.map((rule) => evaluateRule(rule, request)),
    };
  };
}

export type Simulated = ReturnType<ReturnType<typeof createAsking>>;
