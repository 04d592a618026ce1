// The admission policy as it is configured: what devices must be like, what is only reported, and who is excepted.

import { z } from 'zod';
import { formatMoment, readMoment } from '../../dtr-rules/moment.ts';
import { platforms } from '../../dtr-rules/parse-rules.ts';
import type { Issue } from '../../runtime/issue.ts';
import { durationMs, optional, section } from '../../runtime/schema.ts';
import { type OsVersion, parseOsVersion } from '../decision/os-version.ts';
import type { PostureException, PosturePolicy } from '../decision/posture.ts';
import { checks, type Requirements } from '../decision/posture-checks.ts';
import { canonicalDeviceId } from '../posture/source.ts';

const check = z.enum(checks);
const names = z.array(z.string().min(1)).default([]);
const membership = section({ anyOf: names, allOf: names, noneOf: names }).prefault({});

const osVersion = z.string().transform((text, context): OsVersion => {
  const version = parseOsVersion(text);
  if (version !== null) return version;
  const params = { hint: 'for example `"18.1"`' };
  context.addIssue({ code: 'custom', message: 'expected a version', input: text, params });
  return z.NEVER;
});

const deviceId = z.string().transform((text, context) => {
  const id = canonicalDeviceId(text);
  if (id !== null) return id;
  const message = 'expected 4 to 128 letters, digits, `.`, `_` or `-`';
  context.addIssue({ code: 'custom', message, input: text });
  return z.NEVER;
});

const moment = z.string().transform((text, context) => {
  const read = readMoment(text);
  if (read.ok) return read.value;
  const params = { hint: read.hint ?? 'for example `2026-12-31T00:00:00Z`' };
  context.addIssue({ code: 'custom', message: read.message, input: text, params });
  return z.NEVER;
});

/** The good state is in every list: a policy that admits everything but the healthy is a slip. */
function states<const T extends readonly [string, ...string[]]>(good: T[number], all: T) {
  const list = z.array(z.enum(all)).refine((given) => given.includes(good), {
    message: `expected \`${good}\` among them`,
  });
  return list.default([good]);
}

/** Every check by its name; what is left out asks for nothing. */
export const admitSection = section({
  enrollment: states('enrolled', ['enrolled', 'registered', 'pending']),
  compromise: states('intact', ['intact', 'unknown']),
  compliance: states('compliant', ['compliant', 'in_grace_period', 'not_evaluated', 'pending']),
  seenWithin: optional(durationMs({ minMs: 60_000 })),
  ownership: optional(z.array(z.enum(['corporate', 'personal', 'shared'])).min(1)),
  osVersion: z.partialRecord(z.enum(platforms), osVersion).default({}),
  groups: membership,
  tags: membership,
}).prefault({});

export const reportOnlyList = z.array(check).default([]);

export const exceptionList = z
  .array(
    section({
      device: deviceId,
      checks: z.array(check).min(1),
      reason: z.string().min(1),
      until: moment,
    }),
  )
  .default([]);

/** What happens while the source does not answer. */
export const whenUnavailable = z
  .union([z.literal('deny'), section({ graceFor: durationMs() })])
  .prefault({ graceFor: '15m' })
  .transform((given) => ({ graceForMs: given === 'deny' ? 0 : given.graceFor }));

/** Where the settings of before went. */
export const movedPostureKeys = {
  grace: 'write `whenUnavailable: { graceFor: 15m }`, or `whenUnavailable: deny` for none',
  accept: 'write the states that pass into `admit.compliance` and `admit.compromise`',
  maxSeenAge: 'it is `admit.seenWithin` now',
} as const;

export interface AdmissionConfig {
  readonly maxReportAge: number;
  readonly whenUnavailable: z.output<typeof whenUnavailable>;
  readonly admit: z.output<typeof admitSection>;
  readonly reportOnly: z.output<typeof reportOnlyList>;
  readonly exceptions: z.output<typeof exceptionList>;
}

export function posturePolicy(config: AdmissionConfig): PosturePolicy {
  return {
    maxReportAgeMs: config.maxReportAge,
    graceMs: config.whenUnavailable.graceForMs,
    required: requirementsOf(config.admit),
    reportOnly: new Set(config.reportOnly),
    exceptions: exceptionsOf(config.exceptions),
  };
}

function requirementsOf(admit: AdmissionConfig['admit']): Requirements {
  return {
    enrollment: new Set(admit.enrollment),
    compromise: new Set(admit.compromise.map((state) => (state === 'intact' ? 'no' : state))),
    compliance: new Set(admit.compliance),
    seenWithinMs: admit.seenWithin,
    ownership: admit.ownership && new Set(admit.ownership),
    osVersion: new Map(Object.entries(admit.osVersion)),
    groups: admit.groups,
    tags: admit.tags,
  };
}

function exceptionsOf(
  list: AdmissionConfig['exceptions'],
): ReadonlyMap<string, readonly PostureException[]> {
  const byDevice = Map.groupBy(list, ({ device }) => device);
  return new Map(
    [...byDevice].map(([device, own]) => [
      device,
      own.map((one) => ({ checks: new Set(one.checks), why: one.reason, until: one.until })),
    ]),
  );
}

/** Exceptions that are over: they do nothing any more, and somebody may rely on them. */
export function endedExceptions(
  list: AdmissionConfig['exceptions'],
  now: number,
): readonly Issue[] {
  return list.flatMap(({ device, until }, at) =>
    now < until
      ? []
      : {
          path: ['posture', 'exceptions', at, 'until'],
          message: `the exception for device \`${device}\` ended on ${formatMoment(until)}`,
          hint: 'take it out, or give it a later end',
        },
  );
}
