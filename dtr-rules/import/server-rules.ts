// Owns reading Workspace ONE server traffic rules: how the gateway, not the device, reaches what lies behind proxies.

import {
  createNotes,
  destinationsFrom,
  type ImportedRule,
  type ImportRead,
  lose,
  type Notes,
  unique,
  upstreamNamed,
} from './imported.ts';
import { type Json, listOf, loseUnknown, recordOf, textOf, textsOf } from './json.ts';

export function importServerRules(value: unknown): ImportRead {
  const top = recordOf(value);
  if (top === null || !Array.isArray(top['TrafficRules'])) {
    return { ok: false, message: 'this has no `TrafficRules`, as server traffic rules have' };
  }
  const notes = createNotes();
  loseOptions(top, notes);
  const proxies = readProxies(listOf(top['OutBoundProxies']), notes);
  const rules: ImportedRule[] = [];
  for (const [i, item] of listOf(top['TrafficRules']).entries()) {
    const rule = readRule(recordOf(item) ?? {}, { notes, proxies, place: `TrafficRules[${i}]` });
    if (rule === null) continue;
    rules.push({
      ...rule,
      id: unique(
        `server-${i + 1}`,
        rules.map(({ id }) => id),
      ),
    });
  }
  lose(
    notes,
    'TrafficRules',
    'these rules say how the gateway reaches a destination, not which destinations devices may reach',
    'put the PROXY rules above the device rules they are part of',
  );
  const set = {
    name: 'server rules',
    mode: 'full-device',
    platforms: null,
    groups: null,
    defaultAction: 'BYPASS',
    rules,
  } as const;
  return { ok: true, value: { ...notes, sets: [set] } };
}

function loseOptions(top: Json, notes: Notes): void {
  const options: Readonly<Record<string, readonly [string, string]>> = {
    ApiViaProxy: [
      'the calls of the gateway to the UEM went through a proxy',
      'Zonegate calls the UEM directly: open the way',
    ],
    use_str_for_awcm_api: [
      'the calls of the gateway to the UEM went through these rules',
      'Zonegate calls the UEM directly: open the way',
    ],
    use_pac_utility: [
      'a PAC file chose the proxy instead of these rules',
      'write what it says as PROXY rules',
    ],
  };
  for (const [key, [what, todo]] of Object.entries(options)) {
    if (top[key] === true || textOf(top[key]) !== null) lose(notes, key, what, todo);
  }
  loseUnknown(top, ['OutBoundProxies', 'TrafficRules', ...Object.keys(options)], {
    notes,
    place: '',
  });
}

type Proxies = ReadonlyMap<string, { readonly upstream: string | null }>;

/** By their id; null for one that cannot be used. */
function readProxies(items: readonly unknown[], notes: Notes): Proxies {
  const proxies = new Map<string, { readonly upstream: string | null }>();
  for (const [i, item] of items.entries()) {
    const proxy = recordOf(item) ?? {};
    const place = `OutBoundProxies[${i}]`;
    loseUnknown(proxy, ['Uid', 'HostName', 'Port', 'Authentication', 'UserName', 'Password'], {
      notes,
      place,
    });
    proxies.set(textOf(proxy['Uid']) ?? '', { upstream: readProxy(proxy, notes, place) });
  }
  return proxies;
}

function readProxy(proxy: Json, notes: Notes, place: string): string | null {
  const authentication = (textOf(proxy['Authentication']) ?? 'NONE').toUpperCase();
  const host = textOf(proxy['HostName']);
  const port = Number(textOf(proxy['Port']) ?? Number.NaN);
  if (authentication !== 'NONE' && authentication !== 'BASIC') {
    lose(
      notes,
      place,
      `the proxy wants ${authentication} sign-in: upstream proxies are asked with Basic or without`,
      'its rules stand as BLOCK: let the proxy take Basic, or name another',
    );
    return null;
  }
  if (host === null || !(port >= 1 && port <= 65_535)) {
    lose(notes, place, 'the proxy has no host and port', 'its rules stand as BLOCK: name another');
    return null;
  }
  const username = authentication === 'BASIC' ? (textOf(proxy['UserName']) ?? '') : null;
  return upstreamNamed(notes, place, { host: host.toLowerCase(), port, wanted: host, username });
}

interface Where {
  readonly notes: Notes;
  readonly proxies: Proxies;
  readonly place: string;
}

function readRule(rule: Json, { notes, proxies, place }: Where): Omit<ImportedRule, 'id'> | null {
  loseUnknown(rule, ['Uid', 'Action', 'HostNames', 'MappedProxyUid', 'Rank'], { notes, place });
  const names = listOf(rule['HostNames']).map((one) => recordOf(one)?.['HostName'] ?? one);
  const at = `${place}.HostNames`;
  const destinations = destinationsFrom(textsOf(names, { notes, place: at }), notes, at);
  if (destinations.length === 0) {
    lose(notes, place, 'the rule is left out: no host name of it could be read', 'write it anew');
    return null;
  }
  const plain = { egress: null, apps: null, destinations, ticket: null, upstream: null };
  const action = (textOf(rule['Action']) ?? 'NONE').toUpperCase();
  // Past the proxy is, for a gateway, what the device calls tunnelled.
  if (action === 'BYPASS')
    return { ...plain, action: 'TUNNEL', description: 'was BYPASS: not through a proxy' };
  const mapped = listOf(rule['MappedProxyUid']).flatMap(
    (one) => textOf(recordOf(one)?.['UniqueIdentifier'] ?? one) ?? [],
  );
  const upstream =
    mapped.map((uid) => proxies.get(uid)?.upstream ?? null).find((one) => one !== null) ?? null;
  if (action !== 'PROXY' || upstream === null) {
    lose(
      notes,
      place,
      action === 'PROXY'
        ? 'none of its proxies can be used'
        : `the action ${action} has no counterpart`,
      'the rule stands as BLOCK: give it an action, or take it out',
    );
    return { ...plain, action: 'BLOCK', description: `was ${action}` };
  }
  if (mapped.length > 1) {
    lose(
      notes,
      `${place}.MappedProxyUid`,
      `the rule has ${mapped.length} proxies, only \`${upstream}\` is named`,
      'put a balancer in front of them',
    );
  }
  return { ...plain, action: 'PROXY', upstream, description: null };
}
