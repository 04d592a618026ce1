// Answers `POST /api/v1/policies/simulate`: the body and the words of Okta's simulation, and our reason beside them.
import { z } from 'zod';
import { parseAddress } from '../../dtr-rules/address.ts';
import { platforms, risks, type SignOnRequest } from '../decision/conditions.ts';
import { evaluateRule, judgeSignOn, type SignOnPolicy } from '../decision/sign-on.ts';
import { arrivalOf, type Standing, standingOf } from '../decision/zone.ts';
import type { Accounts } from './accounts.ts';
import type { ZonesInForce } from './live-zones.ts';

export interface SimulateOptions {
  readonly policy: () => SignOnPolicy;
  readonly zones: () => ZonesInForce;
  readonly accounts: Accounts;
  readonly applications: readonly string[];
  readonly now: () => number;
}

export type Simulation =
  | { readonly ok: true; readonly evaluation: readonly object[] }
  | { readonly ok: false; readonly trouble: string };

/** Takes one question, or a list of up to a hundred. */
export type Simulate = (body: unknown) => Simulation;

const ids = z.strictObject({ ids: z.array(z.string()).max(1_000) });
const question = z.strictObject({
  appInstance: z.string(),
  policyTypes: z.array(z.literal('ACCESS_POLICY')).optional(),
  policyContext: z.strictObject({
    user: z.strictObject({ id: z.string() }).optional(),
    groups: ids.optional(),
    ip: z.string().optional(),
    zones: ids.optional(),
    device: z
      .strictObject({
        platform: z.enum(platforms).optional(),
        registered: z.boolean().optional(),
        managed: z.boolean().optional(),
        compliant: z.boolean().optional(), // ours
        assuranceId: z.string().optional(),
      })
      .optional(),
    risk: z.strictObject({ level: z.enum(risks) }).optional(),
  }),
});
type Question = z.infer<typeof question>;
type Context = Question['policyContext'];

const body = z.union([question.transform((one) => [one]), z.array(question).min(1).max(100)]);

export function createSimulate(options: SimulateOptions): Simulate {
  return (given) => {
    const parsed = body.safeParse(given);
    if (!parsed.success) return { ok: false, trouble: troubleOf(given) };
    const evaluation: object[] = [];
    for (const [index, one] of parsed.data.entries()) {
      const request = requestOf(one, options);
      if (typeof request === 'string')
        return { ok: false, trouble: `question ${index}: ${request}` };
      evaluation.push(evaluationOf(options.policy(), request));
    }
    return { ok: true, evaluation };
  };
}

// Of the list or of the one: a union would only say that it is neither.
function troubleOf(given: unknown): string {
  const result = z
    .array(question)
    .min(1)
    .max(100)
    .safeParse(Array.isArray(given) ? given : [given]);
  const [issue] = result.error?.issues ?? [];
  return issue === undefined ? 'not a question' : `${issue.path.join('.')}: ${issue.message}`;
}

function requestOf(
  { appInstance, policyContext: context }: Question,
  { accounts, applications, zones, now }: SimulateOptions,
): SignOnRequest | string {
  const { user, groups, device, risk } = context;
  if (!applications.includes(appInstance)) return `there is no application \`${appInstance}\``;
  if ((user === undefined) === (groups === undefined)) return 'expected either `user` or `groups`';
  const account = user === undefined ? null : accounts.find(user.id);
  if (user !== undefined && account === null) return `there is no user \`${user.id}\``;
  const standing = standingFor(context, zones());
  if (typeof standing === 'string') return standing;
  return {
    ...standing,
    user: account?.name ?? '', // somebody of these groups, whom no rule names
    groups: account?.groups ?? groups?.ids ?? [],
    client: appInstance,
    device: {
      platform: device?.platform ?? null,
      registered: device?.registered ?? null,
      managed: device?.managed ?? null,
      compliant: device?.compliant ?? null,
      assurances: device?.assuranceId === undefined ? null : [device.assuranceId],
      risk: risk?.level ?? null,
    },
    now: now(),
  };
}

function standingFor(
  { ip, zones }: Context,
  { compiled, locate }: ZonesInForce,
): Standing | string {
  const names = compiled.forRules.flatMap((index) => compiled.zones[index]?.name ?? []);
  if (zones !== undefined) {
    if (ip !== undefined) return 'expected either `ip` or `zones`';
    const unknown = zones.ids.find((id) => !names.includes(id));
    if (unknown !== undefined) return `there is no zone for rules \`${unknown}\``;
    return { blocked: null, zones: zones.ids, unknownZones: [] };
  }
  // Not said from where: any zone may hold it.
  if (ip === undefined) return { blocked: null, zones: [], unknownZones: names };
  const address = parseAddress(ip);
  if (address === null) return `\`${ip}\` is not an IP address`;
  return standingOf(compiled, arrivalOf([address], address, locate));
}

function evaluationOf(policy: SignOnPolicy, request: SignOnRequest): object {
  const decision = judgeSignOn(policy, request);
  const rules = policy.rules.map((rule) => {
    const { status, conditions } = evaluateRule(rule, request);
    return {
      id: rule.name,
      name: rule.name,
      status,
      conditions: conditions.map((one) => ({ type: one.condition, status: one.status })),
    };
  });
  const policyOf = (some: typeof rules) => ({
    policies: [{ id: 'sign-on', name: 'sign-on', status: 'MATCH', conditions: [], rules: some }],
  });
  const denied = decision.action === 'deny' ? decision : null;
  return {
    policyType: ['ACCESS_POLICY'],
    status: 'MATCH',
    result: policyOf(rules.filter(({ name }) => name === decision.rule)),
    evaluated: policyOf(rules),
    zonegate: {
      access: decision.action === 'allow' ? 'ALLOW' : 'DENY',
      rule: decision.rule,
      reason: denied?.reason ?? null,
      message: denied?.message ?? null,
      help: denied?.help ?? null,
      zones: request.zones,
      unknown_zones: request.unknownZones,
    },
  };
}
