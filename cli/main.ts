#!/usr/bin/env node
// The `zonegate` command: its subcommands, and what happens when one fails.

import { Command, CommanderError } from 'commander';
import { StateError } from '../runtime/state/state-error.ts';
import { version } from '../runtime/version.ts';
import { addCheck } from './check.ts';
import { addDemo } from './demo.ts';
import { addDevices } from './devices.ts';
import { addDoctor } from './doctor.ts';
import { addExplain } from './explain.ts';
import { addHashPassword } from './hash-password.ts';
import { say, UsageError } from './output.ts';
import { addPolicy } from './policy.ts';
import { addProfile } from './profile.ts';
import { addQuickstart } from './quickstart.ts';
import { addRules } from './rules.ts';
import { addServe } from './serve.ts';
import { addZones } from './zones.ts';

const program = new Command('zonegate')
  .description('Tunnel egress gateway with IP-zone enforcement.')
  .version(version)
  .option('-v, --verbose', 'show stack traces')
  .addHelpText('before', 'Example: zonegate quickstart\n')
  .addHelpText('after', '\nMore: README.md and docs/ in the repository.')
  .showSuggestionAfterError()
  .exitOverride();

addQuickstart(program);
addDemo(program);
addServe(program);
addCheck(program);
addExplain(program);
addDevices(program);
addDoctor(program);
addRules(program);
addProfile(program);
addZones(program);
addPolicy(program);
addHashPassword(program);
for (const command of program.commands) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  // Commander has printed its own message: 0 for help and version, else wrong usage.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    say(`zonegate: ${error.message}`);
    return 2;
  }
  if (error instanceof StateError) {
    say(`zonegate: ${error.message}; ${error.fix}`);
    return 1;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say(program.opts()['verbose'] === true ? text : `zonegate: ${text.split('\n')[0]}`);
  say('this is a fault in zonegate; run again with --verbose and report what it prints');
  return 1;
}
