// `zonegate doctor`: looks at what a configuration needs of this machine and of others, and says what to mend.

import type { Command } from 'commander';
import { parseTargetText } from '../dtr-rules/parse.ts';
import type { Target } from '../dtr-rules/rule.ts';
import type { Loaded } from '../gateway/config/load.ts';
import { probeSource } from '../gateway/edge/egress-probe.ts';
import { snapshotOf } from '../gateway/snapshot.ts';
import { findConfigFile } from './config-file.ts';
import { checkEgress, egressAddresses } from './doctor/egress.ts';
import type { Finding, Level } from './doctor/finding.ts';
import { checkMachine, readText } from './doctor/machine.ts';
import { checkMaterial } from './doctor/material.ts';
import { checkReach, checkSeenAs, checkUpstreams } from './doctor/reach.ts';
import { checkServices } from './doctor/services.ts';
import { type Everything, loadEverything } from './load.ts';
import { type ExitCode, paint, plural, print, sayIssues, UsageError } from './output.ts';

interface Options {
  readonly config?: string;
  readonly reach?: string;
  readonly expectUrl?: string;
  readonly json?: boolean;
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look at egress addresses, certificates, DNS, posture source and limits here')
    .option('-c, --config <file>', 'configuration file')
    .option('--reach <host:port>', 'connect there from every egress address')
    .option(
      '--expect-url <url>',
      'ask this page from every egress address; it answers with the address it sees',
    )
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate doctor --reach login.microsoftonline.com:443\n')
    .addHelpText(
      'after',
      '\nWithout --reach and --expect-url only DNS servers, posture source and upstream proxies are contacted.\nExit code: 0 no problem (there may be warnings), 1 a problem, 2 wrong usage or configuration.',
    )
    .action(async (options: Options) => {
      process.exitCode = await doctor(options);
    });
}

async function doctor(options: Options): Promise<ExitCode> {
  const target = options.reach === undefined ? null : targetOf(options.reach);
  const url = options.expectUrl === undefined ? null : urlOf(options.expectUrl);
  const file = findConfigFile(options.config);
  const read = await loadEverything(file);
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return 2;
  }
  const found = await examine(read.all, target, url);
  const problems = count(found, 'problem');
  if (options.json === true) {
    const warnings = count(found, 'warning');
    print(JSON.stringify({ ok: problems === 0, file, problems, warnings, findings: found }));
  } else {
    for (const one of found) print(toText(one));
    print(sumOf(found));
  }
  return problems === 0 ? 0 : 1;
}

function targetOf(text: string): Target {
  const target = parseTargetText(text);
  if (target !== null) return target;
  throw new UsageError(`\`${text}\` is not a target; expected host:port`);
}

function urlOf(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href;
  throw new UsageError(`\`${text}\` is not an http or https URL`);
}

async function examine(
  all: Everything,
  target: Target | null,
  url: string | null,
): Promise<readonly Finding[]> {
  const now = Date.now();
  const gateway = all.gateway === null ? [] : await examineGateway(all.gateway, target, url);
  return [...checkMachine(all, readText, now), ...(await checkMaterial(all, now)), ...gateway];
}

async function examineGateway(
  loaded: Loaded,
  target: Target | null,
  url: string | null,
): Promise<readonly Finding[]> {
  const snapshot = snapshotOf(loaded, []);
  const { egress } = loaded.policy;
  const addresses = egressAddresses(egress);
  try {
    const groups = await Promise.all([
      checkEgress(egress, probeSource),
      target === null ? none : checkReach(target, addresses, snapshot),
      url === null ? none : checkSeenAs(url, addresses),
      checkUpstreams(snapshot),
      checkServices(loaded),
    ]);
    return groups.flat();
  } finally {
    snapshot.resolver.close();
  }
}

const none: Promise<readonly Finding[]> = Promise.resolve([]);

const styles = { ok: 'green', warning: 'yellow', problem: 'red' } as const;

function toText({ level, place, message, expected, fix }: Finding): string {
  const first = `${paint(styles[level], level.padEnd(8))} ${place}: ${message}`;
  const rest = [expected && `expected: ${expected}`, fix && `fix: ${fix}`];
  return [first, ...rest.filter(Boolean).map((line) => `           ${line}`)].join('\n');
}

function count(found: readonly Finding[], level: Level): number {
  return found.filter((one) => one.level === level).length;
}

function sumOf(found: readonly Finding[]): string {
  const warnings = plural(count(found, 'warning'), 'warning');
  return `${plural(count(found, 'problem'), 'problem')}, ${warnings}, ${count(found, 'ok')} ok`;
}
