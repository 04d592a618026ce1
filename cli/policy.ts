// `zonegate policy`: the tools for sign-on policies, a file for each.

import type { Command } from 'commander';
import { addPolicySimulate } from './policy/simulate.ts';
import { addPolicySweep } from './policy/sweep.ts';

export function addPolicy(program: Command): void {
  const policy = program
    .command('policy')
    .description('ask the sign-on policy')
    .addHelpText(
      'before',
      'Example: zonegate policy simulate --user ann --app intranet --zone egress\n',
    )
    .addHelpText('after', '\nMore: docs/sign-on.md');
  addPolicySimulate(policy);
  addPolicySweep(policy);
}
