// `zonegate zones check`: which hop of a request is taken for the client, which zones hold it, and by which entry.

import type { Command } from 'commander';
import {
  type Address,
  type AddressRange,
  compileAddressTable,
  parseAddress,
} from '../../dtr-rules/address.ts';
import { clientAddress, clientChain } from '../../idp-zone/decision/client-address.ts';
import {
  arrivalOf,
  blockOf,
  compileZones,
  judgeZone,
  type ZoneSource,
} from '../../idp-zone/decision/zone.ts';
import { readFeedOnce } from '../../idp-zone/edge/feed.ts';
import { joined } from '../../idp-zone/edge/live-zones.ts';
import { findConfigFile } from '../config-file.ts';
import { type IdpPart, loadEverything } from '../load.ts';
import { type ExitCode, plural, print, sayIssues, UsageError } from '../output.ts';
import { type Checked, type FeedState, toJson, toText } from './text.ts';

interface Options {
  readonly config?: string;
  readonly chain?: string;
  readonly feeds: boolean;
  readonly json?: boolean;
}

export function addZonesCheck(zones: Command): void {
  zones
    .command('check')
    .argument('<ip>', 'the address that connects')
    .description('say which zones an address is in, and by which entry')
    .option('--chain <addresses>', 'what it forwards, origin first, as in X-Forwarded-For')
    .option('-c, --config <file>', 'configuration file')
    .option('--no-feeds', 'do not ask the feeds')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate zones check 198.51.100.40 --chain "203.0.113.8, 198.51.100.7"\n',
    )
    .addHelpText(
      'after',
      '\nExit code: 0 in a zone for rules and not blocked, 1 in none or blocked, 2 configuration.',
    )
    .action(async (ip: string, options: Options) => {
      process.exitCode = await check(ip, options);
    });
}

async function check(ip: string, options: Options): Promise<ExitCode> {
  const peer = parseAddress(ip);
  if (peer === null) throw new UsageError(`\`${ip}\` is not an IP address`);
  const read = await loadEverything(findConfigFile(options.config));
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return 2;
  }
  const { idp } = read.all;
  if (idp === null)
    throw new UsageError('this configuration has no `idp`, so nobody asks its zones');
  const checked = await checkPeer(peer, idp, options);
  if (options.json === true) print(JSON.stringify(toJson(checked, idp.zonesFile)));
  else print(toText(checked, idp.zonesFile));
  const isIn = checked.zones.some(
    ({ zone, verdict }) => zone.usage === 'POLICY' && verdict.state === 'in',
  );
  return isIn && checked.blocked === null ? 0 : 1;
}

async function checkPeer(
  peer: Address,
  { config, policy }: IdpPart,
  options: Options,
): Promise<Checked> {
  const feeds = await readFeeds(policy.zones, options);
  const trusted = compileAddressTable<true>(
    config.trustedProxies.map((range) => ({ range, value: true })),
  );
  const forwarded = options.chain ?? null;
  const chain = clientChain({ peer: peer.text, field: 'X-Forwarded-For', forwarded }, trusted);
  const arrival = arrivalOf(chain, clientAddress(chain, trusted), policy.locate);
  const compiled = compileZones(
    policy.zones.map((zone, index) => joined(zone, feeds.get(index)?.ranges)),
  );
  return {
    arrival,
    forwarded,
    isTrusted: (address) => trusted.find(address).length > 0,
    blocked: blockOf(compiled, arrival),
    zones: compiled.zones.map((zone, index) => ({
      zone,
      verdict: judgeZone(compiled, index, arrival),
      feed: feeds.get(index) ?? null,
    })),
  };
}

async function readFeeds(
  zones: readonly ZoneSource[],
  options: Options,
): Promise<ReadonlyMap<number, FeedState>> {
  const states = zones.map(async (zone, index) => {
    if (zone.kind === 'places' || zone.feed === null) return [];
    if (!options.feeds) return [[index, { ranges: null, trouble: 'it was not asked' }] as const];
    return [[index, await stateOf(readFeedOnce(zone.feed))] as const];
  });
  return new Map((await Promise.all(states)).flat());
}

async function stateOf(reading: Promise<readonly AddressRange[]>): Promise<FeedState> {
  try {
    return { ranges: await reading, trouble: null };
  } catch (error) {
    return { ranges: null, trouble: error instanceof Error ? error.message : String(error) };
  }
}
