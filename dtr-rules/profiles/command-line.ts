// Owns the profiles of programs for the command line: curl, git, apt, and whatever reads the environment.

import type { Target } from '../rule.ts';
import type { WaysIn } from './check.ts';
import { type Draft, type Making, remark } from './draft.ts';
import { noProxyEntries, noProxyNotes, readNoProxy } from './no-proxy.ts';
import type { Plan } from './plan.ts';
import { formatEndpoint, type Note, type ProfileFacts, type Way } from './profile.ts';

const plain = 'text/plain';

export function makeCurl(making: Making): Draft {
  const { facts } = making;
  const { certificate, key, authority } = facts.deviceFiles;
  return withNoProxy(making, (entries) => {
    const options = {
      proxy: proxyUrl(facts),
      'proxy-cert': certificate,
      'proxy-key': key,
      ...(facts.authority !== null && { 'proxy-cacert': authority }),
      noproxy: entries.join(','),
    };
    const lines = Object.entries(options).map(([name, value]) => `${name} = "${value}"\n`);
    return { name: 'curlrc', contentType: plain, content: `${title('#')}${lines.join('')}` };
  });
}

export function makeEnv(making: Making): Draft {
  const url = `https://${formatEndpoint(making.facts.gatewayHttp1 ?? making.facts.gateway)}`;
  const made = withNoProxy(making, (entries) => {
    const variables = { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: entries.join(',') };
    // Half of the programs know only the one spelling, half only the other.
    const lines = Object.entries(variables).flatMap(([name, value]) => [
      `export ${name}='${value}'\n`,
      `export ${name.toLowerCase()}='${value}'\n`,
    ]);
    return { name: 'zonegate.sh', contentType: plain, content: `${title('#')}${lines.join('')}` };
  });
  const certificate = remark(
    'the device certificate',
    'the environment has no variable for it: programs that cannot be told otherwise are refused',
  );
  return { ...made, notes: [...made.notes, certificate] };
}

export function makeGit(making: Making): Draft {
  const { facts, plan } = making;
  const { certificate, key, authority } = facts.deviceFiles;
  const proxy = proxyUrl(facts);
  const exact = exactHosts(plan);
  const sections = exact.different.map(
    ({ origin, way }) => `[http "${origin}"]\n\tproxy = ${way === 'direct' ? '""' : proxy}\n`,
  );
  const general = [
    // In quotes: outside of them `#` and `;` begin a comment, and the path would end there.
    `\tproxySSLCert = "${certificate}"\n\tproxySSLKey = "${key}"\n`,
    facts.authority === null ? '' : `\tproxySSLCAInfo = "${authority}"\n`,
    plan.otherwise === 'direct' ? '' : `\tproxy = ${proxy}\n`,
  ];
  const content = `${title('#')}[http]\n${general.join('')}${sections.join('')}`;
  return {
    files: [{ name: 'zonegate.gitconfig', contentType: plain, content }],
    notes: exact.notes,
    waysIn: gitWays(content),
  };
}

export function makeApt(making: Making): Draft {
  const { facts, plan } = making;
  const { certificate, key, authority } = facts.deviceFiles;
  const proxy = proxyUrl(facts);
  const exact = exactHosts(plan);
  const line = (name: string, value: string) => `Acquire::${name} "${value}";\n`;
  const general =
    plan.otherwise === 'direct' ? '' : line('http::Proxy', proxy) + line('https::Proxy', proxy);
  const hosts = exact.different.map(({ scheme, host, way }) =>
    line(`${scheme}::Proxy::${host}`, way === 'direct' ? 'DIRECT' : proxy),
  );
  const keys =
    line('https::SslCert', certificate) +
    line('https::SslKey', key) +
    (facts.authority === null ? '' : line('https::CaInfo', authority));
  const content = `${title('//')}${keys}${general}${hosts.join('')}`;
  const trust = remark(
    "that the gateway's authority is for the gateway alone",
    `apt uses one file for all: ${authority} has to hold the authorities of the archives too`,
  );
  return {
    files: [{ name: '90zonegate', contentType: plain, content }],
    notes: [...exact.notes, ...(facts.authority === null ? [] : [trust])],
    waysIn: aptWays(content),
  };
}

function withNoProxy(
  { set, plan }: Making,
  write: (entries: readonly string[]) => Draft['files'][number],
): Draft {
  const entries = noProxyEntries(set, plan);
  const file = write(entries);
  const whole = /^[\s\S]*(?:noproxy = |NO_PROXY=)["'](.*)["'][\s\S]*$/;
  const list = String(file.content).replace(whole, '$1');
  const isExcepted = readNoProxy(list.split(','));
  return {
    files: [file],
    notes: [...noProxyNotes(plan, entries), ...noFallBack(plan)],
    waysIn: (target) => [isExcepted(target) ? 'direct' : 'gateway'],
  };
}

/** None of these programs goes another way when a proxy is away. */
function noFallBack(plan: Plan): readonly Note[] {
  const ways = [...plan.lines.map(({ way }) => way), plan.otherwise];
  if (!ways.includes('gateway-or-direct')) return [];
  return [
    {
      rule: null,
      what: 'going direct when the gateway is away',
      consequence: 'what belongs into the tunnel fails then',
      covers: (target) => plan.wayOf(target) === 'gateway-or-direct',
    },
  ];
}

interface ExactHost {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly origin: string;
  readonly way: Way;
}

/** Programs that know no wildcards get the names that rules name exactly, with the usual ports. */
function exactHosts(plan: Plan) {
  const named = plan.lines.flatMap(({ destination }) => {
    if (destination.kind === 'host') return [destination.host];
    return destination.kind === 'subdomains' && destination.apex ? [destination.suffix] : [];
  });
  const known = new Set(named);
  const all = [...known].flatMap((host): readonly ExactHost[] =>
    (['http', 'https'] as const).map((scheme) => {
      const port = scheme === 'http' ? 80 : 443;
      const way = plan.wayOf({ host, address: null, port });
      return { scheme, host, origin: `${scheme}://${host}`, way };
    }),
  );
  const isDirect = (way: Way) => way === 'direct';
  const covers = ({ host, port }: Target) => !known.has(host) || (port !== 80 && port !== 443);
  const otherwise = isDirect(plan.otherwise)
    ? 'it goes direct, as what no rule names'
    : 'it goes to the gateway, which judges it by all the rules';
  const rules = new Set(
    plan.lines.flatMap(({ rule, destination, way }) => {
      const isExpressed = destination.kind === 'host' && destination.ports === null;
      return isDirect(way) === isDirect(plan.otherwise) || isExpressed ? [] : [rule];
    }),
  );
  const what = 'what is more or less than one name with the usual ports';
  return {
    different: all.filter(({ way }) => isDirect(way) !== isDirect(plan.otherwise)),
    notes: [
      { rule: null, what: 'ports but 80 and 443, and addresses', consequence: otherwise, covers },
      ...Array.from(rules, ({ id }) => ({ rule: id, what, consequence: otherwise, covers })),
      ...noFallBack(plan),
    ],
  };
}

/** What git makes of it: the section of the very origin, else the general one. */
function gitWays(content: string): WaysIn {
  const proxies = new Map<string, string>();
  let section = '';
  for (const line of content.split('\n')) {
    if (line.startsWith('[')) section = line;
    if (line.startsWith('\tproxy = ')) proxies.set(section, line);
  }
  return ({ host, port }) => {
    const scheme = port === 80 ? 'http' : 'https';
    const origin = `${scheme}://${host}${port === 80 || port === 443 ? '' : `:${port}`}`;
    const line = proxies.get(`[http "${origin}"]`) ?? proxies.get('[http]');
    return [line === undefined || line.endsWith('""') ? 'direct' : 'gateway'];
  };
}

/** What apt makes of it: the line for the host, else the one for all. */
function aptWays(content: string): WaysIn {
  const lines = content.split('\n').map((line) => line.split(' "'));
  const proxies = new Map(lines.map(([name, value]) => [name, value]));
  return ({ host, port }) => {
    const name = `Acquire::${port === 80 ? 'http' : 'https'}::Proxy`;
    const value = proxies.get(`${name}::${host}`) ?? proxies.get(name);
    return [value === undefined || value === 'DIRECT";' ? 'direct' : 'gateway'];
  };
}

function proxyUrl({ gateway }: ProfileFacts): string {
  return `https://${formatEndpoint(gateway)}`;
}

function title(comment: string): string {
  return `${comment} Zonegate: made from the rules; an edit here is lost.\n`;
}
