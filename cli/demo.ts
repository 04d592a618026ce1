// `zonegate demo`: the product's story in a terminal, each step checked.

import { performance } from 'node:perf_hooks';
import type { Command } from 'commander';
import { createStory, type Step } from './demo/story.ts';
import { createWorld, type World } from './demo/world.ts';
import { type ExitCode, paint, print, say } from './output.ts';

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('show what Zonegate does, checking every step')
    .option('--json', 'print one JSON line per step')
    .addHelpText('before', 'Example: zonegate demo\n')
    .action(async (options: { json?: boolean }) => {
      process.exitCode = await demo(options.json === true);
    });
}

async function demo(asJson: boolean): Promise<ExitCode> {
  say('starting a stand-in UEM, the gateway and the sign-in service …');
  const world = await createWorld();
  const story = createStory();
  let held = 0;
  try {
    for (const [index, step] of story.entries()) {
      if (await runStep(step, index + 1, world, asJson)) held += 1;
    }
  } finally {
    await world.close();
  }
  const sum = `demo: ${held} of ${story.length} steps held`;
  print(asJson ? JSON.stringify({ held, steps: story.length }) : `\n${sum}`);
  return held === story.length ? 0 : 1;
}

async function runStep(
  step: Step,
  number: number,
  world: World,
  asJson: boolean,
): Promise<boolean> {
  const facts: { readonly holds: boolean; readonly fact: string }[] = [];
  if (!asJson) print(`\n${paint('bold', `${number} ${step.title}`)}`);
  const note = (holds: boolean, fact: string): void => {
    facts.push({ holds, fact });
    if (!asJson) print(`  ${holds ? paint('green', 'held') : paint('red', 'BROKE')}  ${fact}`);
  };
  const began = performance.now();
  try {
    await step.run(world, note);
  } catch (error) {
    note(false, error instanceof Error ? error.message : String(error));
  }
  const holds = facts.length > 0 && facts.every((one) => one.holds);
  const tookMs = Math.round(performance.now() - began);
  if (asJson)
    print(JSON.stringify({ step: number, title: step.title, holds, took_ms: tookMs, facts }));
  return holds;
}
