// Reads zonegate.yaml and every file it names into one value, or every issue of all of them at once.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseRuleFile } from '../dtr-rules/parse.ts';
import { gatewayShape } from '../gateway/config/config.ts';
import { type Loaded, load } from '../gateway/config/load.ts';
import {
  checkZoneNames,
  type IdpConfig,
  idpSection,
  parseSignOn,
  parseZones,
  type ZonesFile,
} from '../idp-zone/config/parse.ts';
import type { Locate } from '../idp-zone/decision/place.ts';
import { runSignOnTests, type SignOnFile } from '../idp-zone/decision/run-tests.ts';
import { compileZones } from '../idp-zone/decision/zone.ts';
import { checkKeysFile } from '../idp-zone/edge/keys.ts';
import { joined } from '../idp-zone/edge/live-zones.ts';
import { databases, readPlaces } from '../idp-zone/edge/places.ts';
import type { IdpPolicy } from '../idp-zone/idp-zone.ts';
import { type ConfigFile, readConfigFile } from '../runtime/config-file.ts';
import type { Issue, Parsed, PlacedIssue } from '../runtime/issue.ts';
import { keyPairTrouble } from '../runtime/key-pair.ts';
import { listenAddress, optional, parseWith, secretText, section } from '../runtime/schema.ts';
import { stateIn, stateSchema, stateSecrets } from '../runtime/state/address.ts';
import type { StateAddress } from '../runtime/state/state.ts';

/** The keys that are neither the gateway's nor the sign-in service's own. */
export const commonShape = {
  admin: section({
    listen: listenAddress().prefault('127.0.0.1:8446'),
    tokens: z.array(secretText()).default([]),
    hosts: z.array(z.string().min(1)).default([]),
  }).prefault({}),
  workers: z.union([z.literal('auto'), z.int().min(1).max(256)]).default(1),
  state: stateSchema().prefault('zonegate.db'),
  log: section({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
  zones: z.string().min(1).default('zones.yaml'),
  signOn: z.string().min(1).default('sign-on.yaml'),
};

const both = section({ ...gatewayShape, ...commonShape, idp: optional(idpSection) });
const idpOnly = section({ ...commonShape, idp: idpSection });

type WithGateway = z.output<typeof both>;
type IdpOnly = z.output<typeof idpOnly>;
type Common = Pick<WithGateway, keyof typeof commonShape | 'idp'>;

export interface IdpPart {
  readonly config: IdpConfig;
  readonly policy: IdpPolicy;
  /** Where zones and rules stand in them. */
  readonly zonesFile: ConfigFile<ZonesFile>;
  readonly signOnFile: ConfigFile<SignOnFile>;
}

/** Everything one process runs on, read at one moment. */
export interface Everything {
  readonly file: string;
  readonly folder: string;
  readonly common: Common;
  readonly gateway: Loaded | null;
  readonly state: StateAddress;
  readonly idp: IdpPart | null;
  /** Values that must never reach a log. */
  readonly secrets: readonly string[];
  /** Files that hold nothing but a secret, absolute. */
  readonly secretFiles: readonly string[];
  /** Every file read, absolute: what to watch. */
  readonly inputs: readonly string[];
}

export type EverythingRead =
  | { readonly ok: true; readonly all: Everything }
  | {
      readonly ok: false;
      readonly issues: readonly PlacedIssue[];
      readonly inputs: readonly string[];
    };

/** One process runs the gateway, idp-zone, or both: a file with none of the gateway's keys has no gateway. */
function parseMain(value: unknown): Parsed<WithGateway | IdpOnly> {
  const keys = Object.keys(typeof value === 'object' && value !== null ? value : {});
  const hasGateway = keys.some((key) => key in gatewayShape) || !keys.includes('idp');
  return hasGateway ? parseWith(both)(value) : parseWith(idpOnly)(value);
}

export async function loadEverything(file: string): Promise<EverythingRead> {
  const main = await readConfigFile(file, parseMain);
  if (!main.ok) return await readTheRest(file, main.issues);
  const common = main.config.value;
  const folder = dirname(resolve(file));
  const issues: PlacedIssue[] = [];
  const inputs = [...main.config.inputs];
  const secrets = [...main.config.secrets];

  let gateway: Loaded | null = null;
  if ('identity' in common) {
    const { hash, place } = main.config;
    const read = await load({ config: common, file, folder, hash, place });
    if (read.ok) {
      gateway = read.loaded;
      secrets.push(...gateway.rules.secrets);
    } else issues.push(...read.issues);
    inputs.push(...(read.ok ? read.loaded.inputs : [resolve(folder, common.rules)]));
  }
  const idp = common.idp === null ? null : await loadIdp(common, common.idp, main.config);
  issues.push(...(idp?.issues ?? []));
  inputs.push(...(idp?.inputs ?? []));
  secrets.push(...(idp?.secrets ?? []));
  if (issues.length > 0) return { ok: false, issues, inputs };
  return {
    ok: true,
    all: {
      file,
      folder,
      common,
      gateway,
      state: stateIn(folder, common.state),
      secrets,
      secretFiles: main.config.inputs.slice(1),
      inputs,
      idp: idp?.part ?? null,
    },
  };
}

/** Tokens, and a password of the state's server, written into the file itself are as secret as those in files of their own. */
export function secretsOf(all: Everything): readonly string[] {
  return [...all.secrets, ...all.common.admin.tokens, ...stateSecrets(all.state)];
}

/** The main file is broken; the others are read all the same, so that every issue is told at once. */
async function readTheRest(
  file: string,
  issues: readonly PlacedIssue[],
): Promise<Extract<EverythingRead, { ok: false }>> {
  const main = await readConfigFile(file, (value) => ({ ok: true, value }));
  const value = main.ok && typeof main.config.value === 'object' ? main.config.value : null;
  const named = new Map<string, unknown>(Object.entries(value ?? {}));
  const folder = dirname(resolve(file));
  const found = [...issues];
  const inputs = [resolve(file)];
  const look = async (
    key: string,
    fallback: string,
    parse: (value: unknown) => Parsed<unknown>,
  ) => {
    const name = named.get(key);
    const path = resolve(folder, typeof name === 'string' ? name : fallback);
    // A file nobody named need not be there.
    if (name === undefined && !existsSync(path)) return;
    const read = await readConfigFile(path, parse);
    inputs.push(path);
    if (!read.ok) found.push(...read.issues);
  };
  await look('rules', 'dtr.yaml', parseRuleFile);
  await look('zones', 'zones.yaml', parseZones);
  await look('signOn', 'sign-on.yaml', parseSignOn);
  return { ok: false, issues: found, inputs };
}

async function loadIdp(common: Common, config: IdpConfig, main: ConfigFile<unknown>) {
  const folder = dirname(resolve(main.file));
  const zones = await readConfigFile(resolve(folder, common.zones), parseZones);
  const signOn = await readConfigFile(resolve(folder, common.signOn), parseSignOn);
  const { certificate, key } = config.tls;
  const inputs = [common.zones, common.signOn, certificate, key, config.keysFile].map((name) =>
    resolve(folder, name),
  );
  const issues: PlacedIssue[] = await checkMaterial(config, main);
  if (!zones.ok) issues.push(...zones.issues);
  if (!signOn.ok) issues.push(...signOn.issues);
  if (!zones.ok || !signOn.ok) return { issues, inputs, secrets: [], part: null };
  const [zonesFile, signOnFile] = [zones.config, signOn.config];
  const places = await loadPlaces(zonesFile);
  inputs.push(...places.inputs);
  issues.push(...places.issues);
  const { locate } = places;
  if (places.issues.length === 0) issues.push(...checkSignOn(signOnFile, zonesFile.value, locate));
  const secrets = [...zonesFile.secrets, ...signOnFile.secrets];
  const policy = { zones: zonesFile.value.zones, locate, signOn: signOnFile.value.policy };
  return { issues, inputs, secrets, part: { config, policy, zonesFile, signOnFile } };
}

async function loadPlaces({ file, value: { places }, place }: ConfigFile<ZonesFile>) {
  const at = (name: string | null) => name && resolve(dirname(file), name);
  const files = { countries: at(places.countries), asns: at(places.asns) };
  const read = await readPlaces(files);
  const issues = (read.ok ? [] : read.issues).map(({ key, message }): PlacedIssue => {
    const path = ['places', key];
    const hint = 'check the path, its permissions, and that it is not compressed';
    return { path, message: `\`${places[key]}\` ${message}`, hint, file, ...place(path) };
  });
  const inputs = databases.flatMap((key) => files[key] ?? []);
  return { locate: read.ok ? read.locate : null, issues, inputs };
}

async function checkMaterial(
  { tls, keysFile }: IdpConfig,
  main: ConfigFile<unknown>,
): Promise<PlacedIssue[]> {
  const issues: PlacedIssue[] = [];
  const add = (name: keyof typeof tls, message: string, hint: string | null): void => {
    const path = ['idp', 'tls', name];
    issues.push({ path, message, hint, file: main.file, ...main.place(path) });
  };
  const texts: string[] = [];
  for (const name of ['certificate', 'key'] as const) {
    try {
      texts.push(await readFile(resolve(dirname(main.file), tls[name]), 'utf8'));
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      add(name, `cannot read \`${tls[name]}\` (${code})`, 'check the path and its permissions');
    }
  }
  const keysTrouble = await checkKeysFile(resolve(dirname(main.file), keysFile));
  if (keysTrouble !== null) {
    const path = ['idp', 'keysFile'];
    issues.push({ path, message: keysTrouble, hint: null, file: main.file, ...main.place(path) });
  }
  const [certificate, key] = texts;
  if (certificate === undefined || key === undefined) return issues;
  const trouble = keyPairTrouble(certificate, key);
  if (trouble !== null) add('key', trouble, null);
  return issues;
}

function checkSignOn(
  file: ConfigFile<SignOnFile>,
  { zones }: ZonesFile,
  locate: Locate | null,
): readonly PlacedIssue[] {
  const placed = (issue: Issue) => ({ ...issue, file: file.file, ...file.place(issue.path) });
  const names = checkZoneNames(file.value, zones);
  if (names.length > 0) return names.map(placed);
  const compiled = compileZones(zones.map((zone) => joined(zone)));
  return runSignOnTests(file.value, compiled, { locate, now: Date.now() }).map(
    ({ path, message }) => placed({ path, message, hint: null }),
  );
}
