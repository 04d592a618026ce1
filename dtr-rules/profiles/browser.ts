// Owns what the profiles of all browsers share: the PAC file inside of them, and what browsers never send to a proxy.

import { targetsAround } from '../boundaries.ts';
import type { Target } from '../rule.ts';
import type { WaysIn } from './check.ts';
import type { Making } from './draft.ts';
import { pacText, pacType, type RunPac, waysInPac } from './pac.ts';
import { formatEndpoint, type Note } from './profile.ts';

export function makePacFor({ plan, set, facts }: Making) {
  const proxy = `HTTPS ${formatEndpoint(facts.gateway)}`;
  return { proxy, text: pacText(plan, proxy, set.name) };
}

/** A PAC file inside a profile needs no server, and cannot fail to load. */
export const embeddedPac = {
  url: (text: string) => `data:${pacType};base64,${btoa(text)}`,
  /** Null when the profile only says where the PAC file is. */
  waysIn(content: string | Uint8Array, proxy: string, runPac: RunPac): WaysIn | null {
    const [, base64] = /base64,([A-Za-z0-9+/=]+)/.exec(String(content)) ?? [];
    return base64 === undefined ? null : waysInPac(runPac(atob(base64)), proxy);
  },
};

export function withLocal(
  waysIn: WaysIn | null,
  isLocal: (target: Target) => boolean,
): WaysIn | null {
  if (waysIn === null) return null;
  return (target) => (isLocal(target) ? ['direct'] : waysIn(target));
}

/** Said only where the rules would have it otherwise. */
export function localNote(
  { set, plan }: Pick<Making, 'set' | 'plan'>,
  isLocal: (target: Target) => boolean,
): readonly Note[] {
  const covers = (target: Target) => isLocal(target) && plan.wayOf(target) !== 'direct';
  const known = [localhost, loopback];
  if (!known.some(covers) && !targetsAround([set]).some(covers)) return [];
  return [
    {
      rule: null,
      what: "the machine's own names and addresses",
      consequence: 'browsers send localhost, loopback and the like direct, whatever a profile says',
      covers,
    },
  ];
}

const localhost: Target = { host: 'localhost', address: null, port: 443 };
const loopback: Target = {
  host: '127.0.0.1',
  address: { family: 4, value: 0x7f000001n, text: '127.0.0.1' },
  port: 443,
};
