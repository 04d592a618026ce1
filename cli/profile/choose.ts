// Which rule set a profile is made from: one by name, that of a device, or that of devices of a kind.

import type { Asker, CompiledSet } from '../../dtr-rules/compile.ts';
import type { Application, Posture } from '../../dtr-rules/rule.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import { judgePosture } from '../../gateway/decision/posture.ts';
import { reportOf } from '../ask-posture.ts';
import { UsageError } from '../output.ts';

export interface AskerOptions {
  readonly device?: string;
  readonly set?: string;
  readonly posture?: Posture;
  readonly platform?: string;
  readonly group?: readonly string[];
  readonly tag?: readonly string[];
  readonly app?: string;
}

export async function chooseSet(options: AskerOptions, loaded: Loaded): Promise<CompiledSet> {
  const { rules } = loaded.policy;
  const described = (['posture', 'platform', 'group', 'tag'] as const).filter(
    (key) => options[key] !== undefined,
  );
  const ways = [options.set, options.device, described[0]].filter((one) => one !== undefined);
  if (ways.length > 1) {
    throw new UsageError('choose by --set, by --device, or by what devices are: one of the three');
  }
  if (options.set !== undefined) {
    const found = rules.sets.find(({ set }) => set.name === options.set);
    if (found !== undefined) return found;
    const known = rules.sets.map(({ set }) => set.name).join(', ');
    throw new UsageError(`there is no rule set \`${options.set}\`; there are ${known}`);
  }
  const asker =
    options.device === undefined ? askerOf(options) : await askDevice(options.device, loaded);
  const assigned = rules.assign(asker);
  if (assigned !== null) return assigned;
  throw new UsageError('no rule set is assigned to such a device: it is refused everything');
}

export function chooseApplication({ app }: AskerOptions, loaded: Loaded): Application | null {
  if (app === undefined) return null;
  const known = loaded.rules.value.applications;
  const found = known.find(({ name }) => name === app);
  if (found !== undefined) return found;
  const names = known.map(({ name }) => name).join(', ');
  throw new UsageError(`there is no application \`${app}\`; there are ${names || 'none'}`);
}

function askerOf({ posture, platform, group, tag }: AskerOptions): Asker {
  return {
    posture: posture ?? 'healthy',
    platform: platform ?? null,
    groups: group ?? [],
    tags: tag ?? [],
  };
}

/** What a live connection would find: the report of the source, judged now. */
async function askDevice(device: string, loaded: Loaded): Promise<Asker> {
  const report = await reportOf(device, loaded, 'choose with --set or --platform');
  if (report === null) throw new UsageError(`no posture source knows a device \`${device}\``);
  const trouble = judgePosture({ report, known: true }, loaded.policy.posture, Date.now());
  return { ...report, posture: trouble.reason === null ? 'healthy' : 'unhealthy' };
}
