// Owns the policies of Firefox.

import { inRange, parseAddressRange } from '../address.ts';
import type { Target } from '../rule.ts';
import { embeddedPac, localNote, makePacFor, withLocal } from './browser.ts';
import { type Draft, type Making, remark } from './draft.ts';

export function makeFirefox(making: Making): Draft {
  const { facts, runPac } = making;
  const isClosed = facts.failMode === 'closed';
  const { text, proxy } = makePacFor(making);
  // Firefox goes direct when it cannot fetch its PAC file, and has no setting against that: it must not have to.
  const url = isClosed || facts.pacUrl === null ? embeddedPac.url(text) : facts.pacUrl;
  const locked = (Value: string | boolean) => ({ Value, Status: 'locked' });
  const policies = {
    Proxy: { Mode: 'autoConfig', AutoConfigURL: url, Locked: true },
    Preferences: {
      'security.default_personal_cert': locked('Select Automatically'),
      'security.osclientcerts.autoload': locked(true),
      ...(isClosed && {
        'network.proxy.failover_direct': locked(false),
        'network.proxy.allow_bypass': locked(false),
      }),
    },
    ...(facts.authority !== null && { Certificates: { Install: [facts.deviceFiles.authority] } }),
  };
  const content = `${JSON.stringify({ policies }, null, 2)}\n`;
  return {
    files: [{ name: 'policies.json', contentType: 'application/json', content }],
    notes: [
      ...localNote(making, goesDirect),
      remark(
        'for which servers the device certificate is',
        'Firefox shows it to any server that asks for one and trusts its issuer',
      ),
    ],
    waysIn: withLocal(embeddedPac.waysIn(content, proxy, runPac), goesDirect),
  };
}

const loopback4 = parseAddressRange('127.0.0.0/8');

/** What Firefox never sends to a proxy (`network.proxy.allow_hijacking_localhost` is off). */
function goesDirect({ host, address }: Target): boolean {
  if (address === null) return host === 'localhost' || host.endsWith('.localhost');
  return host === '::1' || (loopback4 !== null && inRange(address, loopback4));
}
