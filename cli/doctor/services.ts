// Asks those the gateway depends on: DNS servers, and the source of posture with its credentials.

import { promises as dns, getServers } from 'node:dns';
import type { DnsServer, GatewayConfig } from '../../gateway/config/config.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import { systemCode } from '../../gateway/errors.ts';
import type { InventoryDevice } from '../../gateway/posture/inventory.ts';
import type { PostureSource } from '../../gateway/posture/source.ts';
import { createSources } from '../../gateway/posture-sources.ts';
import { type Finding, messageOf, ok, problem, warning } from './finding.ts';

export async function checkServices(loaded: Loaded): Promise<readonly Finding[]> {
  const { config } = loaded;
  const [servers, sources] = await Promise.all([checkDns(config), checkSources(loaded)]);
  return [...servers, ...sources];
}

interface Asked {
  readonly place: string;
  readonly server: string;
  /** A name that this server has to know something about. */
  readonly about: string;
}

async function checkDns({ dns: config }: GatewayConfig): Promise<readonly Finding[]> {
  const own = config.servers.length > 0;
  const servers = own ? config.servers.map(print) : getServers();
  const place = own ? 'dns.servers' : 'the DNS servers of the system';
  const asked: readonly Asked[] = [
    ...servers.map((server) => ({ place, server, about: '.' })),
    ...config.zones.flatMap((zone) =>
      zone.servers.map(print).map((server) => ({ place: 'dns.zones', server, about: zone.suffix })),
    ),
  ];
  const answers = await Promise.all(asked.map((one) => ask(one, config.timeout)));
  if (servers.length > 0) return answers;
  return [
    problem(place, {
      message: 'there is none',
      expected: 'somebody to ask about names',
      fix: 'name servers in `dns.servers`',
    }),
  ];
}

function print({ address: { family, text }, port }: DnsServer): string {
  return family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

// It has understood the question: that there is no such thing is an answer.
const answered: readonly (string | null)[] = [null, 'ENOTFOUND', 'ENODATA'];

async function ask({ place, server, about }: Asked, timeoutMs: number): Promise<Finding> {
  const where = `${place} ${server}`;
  const code = await questionTo(server, about, timeoutMs);
  if (answered.includes(code)) return ok(where, 'answers');
  const wrong = {
    message: `does not answer for \`${about}\` (${code})`,
    expected: 'an answer: names of destinations are resolved here',
    fix: 'see whether the server is up, and whether it serves this machine',
  };
  // It is there, and has its reasons.
  return code === 'EREFUSED' || code === 'ESERVFAIL'
    ? warning(where, wrong)
    : problem(where, wrong);
}

async function questionTo(
  server: string,
  about: string,
  timeoutMs: number,
): Promise<string | null> {
  const resolver = new dns.Resolver({ timeout: timeoutMs, tries: 1 });
  resolver.setServers([server]);
  try {
    await resolver.resolveSoa(about);
    return null;
  } catch (error) {
    return systemCode(error) ?? 'unknown';
  }
}

/** No device is called so, and every source would ask about it: that it says so is proof enough. */
const nobody = '00000000-0000-4000-8000-000000000000';

async function checkSources(loaded: Loaded): Promise<readonly Finding[]> {
  const { timeout } = loaded.config.posture;
  const sources = createSources(loaded, Date.now);
  try {
    return await Promise.all(
      sources.inOrder.map(({ source }) =>
        checkSource(source, loaded.inventories.get(source.name) ?? null, timeout),
      ),
    );
  } finally {
    await sources.close();
  }
}

async function checkSource(
  source: PostureSource,
  devices: readonly InventoryDevice[] | null,
  timeoutMs: number,
): Promise<Finding> {
  const place = `posture.source ${source.name}`;
  if (devices !== null) return ok(place, `knows ${devices.length} devices`);
  try {
    await source.fetch(nobody, AbortSignal.timeout(timeoutMs));
    return ok(place, 'answers, and takes the credentials');
  } catch (error) {
    return problem(place, {
      message: messageOf(error),
      expected: 'an answer about a device',
      fix: 'see whether the URL is reachable from here, and whether the credentials still hold and may read devices (docs/posture.md)',
    });
  }
}
