// `zonegate profile`: makes of the rules what devices understand, and says what of the rules it cannot say.

import { Argument, type Command, Option } from 'commander';
import { platforms, postures } from '../dtr-rules/parse-rules.ts';
import { ProfileError } from '../dtr-rules/profiles/draft.ts';
import { type KindName, kinds, makeProfile } from '../dtr-rules/profiles/kinds.ts';
import { formatEndpoint, type NotExpressed, type Profile } from '../dtr-rules/profiles/profile.ts';
import type { GatewayConfig } from '../gateway/config/config.ts';
import { pacPath } from '../gateway/edge/pac-token.ts';
import { runPac } from '../gateway/edge/run-pac.ts';
import { findConfigFile } from './config-file.ts';
import { loadEverything } from './load.ts';
import { type ExitCode, plural, print, say, sayIssues, UsageError } from './output.ts';
import type { IdentityOptions } from './profile/apple.ts';
import { type AskerOptions, chooseApplication, chooseSet } from './profile/choose.ts';
import { factsOf } from './profile/facts.ts';
import { type SigningOptions, signerOf, signProfile } from './profile/signing.ts';
import { writeFiles } from './profile/write.ts';

interface Options extends AskerOptions, IdentityOptions, SigningOptions {
  readonly config?: string;
  readonly out?: string;
  readonly url?: boolean;
  readonly json?: boolean;
}

const names = Object.keys(kinds) as KindName[];

export function addProfile(program: Command): void {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const list = names.map((name) => `  ${name.padEnd(width)}${kinds[name].summary}`).join('\n');
  program
    .command('profile')
    .addArgument(new Argument('<kind>', 'what to make, see below').choices(names))
    .description('make a profile for devices from the rules')
    .option('-c, --config <file>', 'configuration file')
    .option('-d, --device <udid>', 'for this device, as the posture source knows it')
    .option('--set <name>', 'for this rule set')
    .addOption(new Option('--posture <posture>', 'for devices that are').choices(postures))
    .addOption(new Option('--platform <platform>', 'on this').choices(platforms))
    .option('--group <group...>', 'in these groups')
    .option('--tag <tag...>', 'with these tags')
    .option('--app <name>', 'for this one of the `applications` alone')
    .option('--identity <source>', 'Apple: `acme`, `scep` or `pkcs12:FILE`')
    .option(
      '--identity-password-file <file>',
      'password of that file; left out: ZONEGATE_IDENTITY_PASSWORD',
    )
    .option('--sign-certificate <file>', 'apple-relay: sign it with this certificate, PEM')
    .option('--sign-key <file>', 'and its private key')
    .option('--sign-chain <file>', 'and authorities above it, to be sent along')
    .option('--url', 'pac: print where the gateway serves it to the device')
    .option('-o, --out <path>', 'write to this file, or into this folder; left out: to stdout')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate profile pac --config state/zonegate.yaml --platform macos --out zonegate.pac\n' +
        'Example: zonegate profile apple-relay --platform ios --identity acme --out zonegate.mobileconfig\n',
    )
    .addHelpText('after', `\nKinds:\n${list}\n\nMore: docs/profiles.md`)
    .action(async (kind: KindName, options: Options) => {
      process.exitCode = await profile(kind, options);
    });
}

async function profile(kind: KindName, options: Options): Promise<ExitCode> {
  const read = await loadEverything(findConfigFile(options.config));
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return 2;
  }
  const { gateway, folder } = read.all;
  if (gateway === null) throw new UsageError('this configuration has no gateway to go through');
  if (options.url === true) return printUrl(kind, options, gateway.config);
  const set = await chooseSet(options, gateway);
  const app = chooseApplication(options, gateway);
  const { profiles } = gateway.config;
  const facts = await factsOf(profiles, folder, options);
  const signer = await signerOf(kind, options, { profiles, folder });
  try {
    const checked = makeProfile(kind, set, { app, facts, now: Date.now(), runPac });
    const made = signer === null ? checked : signProfile(checked, signer);
    if (options.json === true) print(JSON.stringify(toJson(kind, set.set.name, made)));
    else await hand(made, options.out);
    if (options.json !== true) sayNotes(made.notExpressed);
    return 0;
  } catch (error) {
    if (!(error instanceof ProfileError)) throw error;
    say(`zonegate: ${error.message}`);
    return 1;
  }
}

/** Where the gateway serves the file of a device that cannot present its certificate when it asks. */
function printUrl(
  kind: KindName,
  { device }: Options,
  { profiles, listeners }: GatewayConfig,
): ExitCode {
  if (kind !== 'pac' || device === undefined) {
    throw new UsageError('--url is for `profile pac --device UDID`');
  }
  const secret = profiles?.pacSecret ?? null;
  if (profiles === null || secret === null) {
    throw new UsageError(
      'without a secret the gateway serves no PAC files: set `profiles.pacSecret`',
    );
  }
  const path = pacPath(device.toLowerCase(), secret);
  const { gateway, pacServer } = profiles;
  const { host } = gateway;
  // Chromium fetches none from a listener that asks for a certificate.
  const port = listeners.pac?.port ?? gateway.port;
  print(new URL(path, `https://${formatEndpoint(pacServer ?? { host, port })}`).href);
  return 0;
}

async function hand({ files }: Profile, out: string | undefined): Promise<void> {
  const [first] = files;
  if (out === undefined) {
    const isForTerminals = typeof first?.content === 'string' || process.stdout.isTTY !== true;
    if (files.length !== 1 || first === undefined || !isForTerminals) {
      const list = files.map(({ name }) => name).join(', ');
      throw new UsageError(`this profile is ${list}: name a folder for it with --out`);
    }
    process.stdout.write(first.content);
    return;
  }
  await writeFiles(files, out);
}

/** Rules that share a note share a line: a thousand of them are not read. */
function sayNotes(notes: readonly NotExpressed[]): void {
  const byText = Map.groupBy(notes, ({ what, consequence }) => `${what}: ${consequence}`);
  for (const [text, same] of byText) {
    const rules = same.flatMap(({ rule }) => rule ?? []);
    const shown = rules.slice(0, 5).join(', ');
    const more = rules.length > 5 ? ` and ${rules.length - 5} more` : '';
    const about = rules.length === 0 ? '' : ` (${plural(rules.length, 'rule')} ${shown}${more})`;
    say(`not expressed: ${text}${about}`);
  }
}

function toJson(kind: string, set: string, { files, notExpressed, changesAt }: Profile) {
  return {
    kind,
    rule_set: set,
    files: files.map(({ name, contentType, content, isSecret = false }) => ({
      name,
      content_type: contentType,
      bytes: Buffer.byteLength(content),
      secret: isSecret,
      ...(typeof content === 'string'
        ? { text: content }
        : { base64: Buffer.from(content).toString('base64') }),
    })),
    not_expressed: notExpressed,
    changes_at: changesAt === null ? null : new Date(changesAt).toISOString(),
  };
}
