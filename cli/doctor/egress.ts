// Looks at the egress addresses: on this machine, each once, of both families, with a way out. Sends nothing.

import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import type { EgressPolicy, EgressPool } from '../../gateway/decision/policy.ts';
import { judgeSpecial } from '../../gateway/decision/special.ts';
import type { Probe } from '../../gateway/edge/egress-health.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

export interface EgressAddress {
  /** The key of the configuration it stands under, and itself. */
  readonly place: string;
  readonly address: Address;
}

/** A root name server of each family: as far away as anything, and only looked up in the routing table. */
const farAway: Readonly<Record<Address['family'], Address | null>> = {
  4: parseAddress('198.41.0.4'),
  6: parseAddress('2001:503:ba3e::2:30'),
};

export async function checkEgress(egress: EgressPolicy, probe: Probe): Promise<readonly Finding[]> {
  const addresses = egressAddresses(egress);
  const each = await Promise.all(addresses.map((one) => checkAddress(one, probe)));
  return [
    ...each.flat(),
    ...checkTwins(addresses),
    ...[...egress.pools.values()].map(checkFamilies),
  ];
}

export function egressAddresses({ pools, bypass }: EgressPolicy): readonly EgressAddress[] {
  const of = ({ addresses }: EgressPool, key: string) =>
    addresses.map((address) => ({ place: `${key} ${address.text}`, address }));
  const all = [...pools.values()].flatMap((pool) => of(pool, `egress.pools.${pool.name}`));
  return bypass === null ? all : [...all, ...of(bypass, 'egress.bypass')];
}

async function checkAddress(
  { place, address }: EgressAddress,
  probe: Probe,
): Promise<readonly Finding[]> {
  const code = await probe(address, null);
  if (code !== null) return [missing(place, address, code)];
  const special = judgeSpecial(address);
  const found = [ok(place, 'is an address of this machine')];
  if (special !== null) found.push(inside(place, special.name));
  const wayOut = await probe(address, farAway[address.family]);
  if (wayOut !== null) found.push(withoutWay(place, wayOut, special !== null));
  return found;
}

function missing(place: string, { text, family }: Address, code: string): Finding {
  if (code !== 'EADDRNOTAVAIL') {
    return problem(place, {
      message: `cannot be bound (${code})`,
      expected: 'any program may leave from an address of its machine',
      fix: 'see what keeps this user from opening sockets',
    });
  }
  return problem(place, {
    message: 'is not an address of this machine',
    expected: 'every egress address is on the machine that uses it',
    fix: `add it (\`ip address add ${text}/${family === 4 ? 32 : 128} dev …\`), or take it out of the configuration`,
  });
}

function inside(place: string, range: string): Finding {
  return warning(place, {
    message: `is a special-purpose address (${range}): nobody outside sees it`,
    expected: 'the address that sign-in services see, which is what network zones are made of',
    fix: 'use a public address, or put the public one that it is translated to, and only it, into the zone by hand',
  });
}

function withoutWay(place: string, code: string, isSpecial: boolean): Finding {
  const wrong = {
    message: `has no way to the internet (${code})`,
    expected: 'a default route for this address',
    fix: 'see `ip route get … from …`; a source address may need a routing rule of its own',
  };
  // Of an address that is none of the internet's that may well be meant.
  return isSpecial ? warning(place, wrong) : problem(place, wrong);
}

/** The same address twice: what is it good for? */
function checkTwins(addresses: readonly EgressAddress[]): readonly Finding[] {
  return addresses.flatMap(({ place, address }, i) => {
    const first = addresses.slice(0, i).find((one) => one.address.text === address.text);
    if (first === undefined) return [];
    return warning(place, {
      message: `is in \`${first.place.split(' ')[0]}\` already`,
      expected: 'each address once, so that an address says which pool it is',
      fix: 'leave it in one of them',
    });
  });
}

function checkFamilies({ name, addresses }: EgressPool): Finding {
  const place = `egress.pools.${name}`;
  const has = (family: Address['family']) => addresses.some((one) => one.family === family);
  if (has(4) && has(6)) return ok(place, 'has addresses of both families');
  if (has(4)) return ok(place, 'is IPv4 only: destinations that have only IPv6 are refused');
  return warning(place, {
    message: 'is IPv6 only: destinations that have only IPv4 are refused',
    expected: 'an address of each family that destinations have',
    fix: 'add an IPv4 address',
  });
}
