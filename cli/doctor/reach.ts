// Connects from each egress address to where the operator says, and to upstream proxies: the checks that do send something.

import { Agent, request } from 'undici';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import type { Target } from '../../dtr-rules/rule.ts';
import { formatTarget } from '../../gateway/decision/target.ts';
import { dial } from '../../gateway/edge/dial.ts';
import { serverName } from '../../gateway/edge/upstream-rests.ts';
import type { Snapshot } from '../../gateway/snapshot.ts';
import type { EgressAddress } from './egress.ts';
import { type Finding, messageOf, ok, problem, warning } from './finding.ts';

const timeoutMs = 5000;
const maxAnswer = 65_536;
const maxSkewMs = 60_000;

/** From every egress address to one target, whatever the rules say of it: this is the operator asking. */
export async function checkReach(
  target: Target,
  from: readonly EgressAddress[],
  { resolver }: Snapshot,
): Promise<readonly Finding[]> {
  const name = formatTarget(target);
  let addresses: readonly Address[];
  try {
    addresses = target.address === null ? await resolver.resolve(target.host) : [target.address];
  } catch (error) {
    return [unresolved('--reach', name, error)];
  }
  return await Promise.all(
    from.map(async ({ place, address: source }) => {
      const to = addresses.filter(({ family }) => family === source.family);
      if (to.length === 0) return ok(place, `is of another family than ${name}`);
      return await connectOnce(place, { source, to, port: target.port, name });
    }),
  );
}

/** What carries PROXY rules: can it be connected to from the default pool? */
export async function checkUpstreams({
  reach,
  policy,
  resolver,
}: Snapshot): Promise<readonly Finding[]> {
  const servers = [...reach.upstreams.values()].flatMap((one) =>
    one.servers.map((server) => ({ place: `upstreams.${one.name} ${serverName(server)}`, server })),
  );
  return await Promise.all(
    servers.map(async ({ place, server: { host, port } }) => {
      const name = serverName({ host, port });
      try {
        const literal = parseAddress(host);
        const to = literal === null ? await resolver.resolve(host) : [literal];
        const source = policy.egress.defaultPool.addresses.find((one) =>
          to.some(({ family }) => family === one.family),
        );
        if (source === undefined) return unleft(place);
        const same = to.filter(({ family }) => family === source.family);
        return await connectOnce(place, { source, to: same, port, name });
      } catch (error) {
        return unresolved(place, host, error);
      }
    }),
  );
}

interface Once {
  readonly source: Address;
  readonly to: readonly Address[];
  readonly port: number;
  readonly name: string;
}

async function connectOnce(place: string, { source, to, port, name }: Once): Promise<Finding> {
  const started = performance.now();
  try {
    const { socket } = await dial(
      to.map((address) => ({ address, source, neighbours: [] })),
      {
        port,
        timeoutMs,
        attemptDelayMs: 250,
        signal: AbortSignal.timeout(2 * timeoutMs),
        watch: null,
        deviceId: null,
        families: null,
      },
    );
    socket.destroy();
    return ok(
      place,
      `connects to ${name} from ${source.text} in ${Math.round(performance.now() - started)} ms`,
    );
  } catch (error) {
    return problem(place, {
      message: `does not connect to ${name} from ${source.text} (${messageOf(error)})`,
      expected: 'a connection within 5 s',
      fix: 'see whether a firewall, here or there, stops this source address',
    });
  }
}

function unresolved(place: string, name: string, error: unknown): Finding {
  return problem(place, {
    message: `\`${name}\` is not resolved (${messageOf(error)})`,
    expected: 'an address for the name',
    fix: 'check the name, and what is said of `dns` here',
  });
}

function unleft(place: string): Finding {
  return problem(place, {
    message: 'has no address of a family that the default pool has',
    expected: 'an egress address of the family of the proxy',
    fix: 'add one to the pool, or name the proxy by an address of the other family',
  });
}

/** Asks a page that answers with the caller's address, from each egress address: is that what is seen? */
export async function checkSeenAs(
  url: string,
  from: readonly EgressAddress[],
): Promise<readonly Finding[]> {
  const each = await Promise.all(from.map((one) => checkOneSeen(url, one)));
  return each.flat();
}

async function checkOneSeen(
  url: string,
  { place, address }: EgressAddress,
): Promise<readonly Finding[]> {
  const { text: localAddress, family } = address;
  const dispatcher = new Agent({
    localAddress,
    autoSelectFamily: false,
    connect: { family, timeout: timeoutMs },
  });
  try {
    const answer = await request(url, { dispatcher, signal: AbortSignal.timeout(2 * timeoutMs) });
    const seen = firstAddress((await answer.body.text()).slice(0, maxAnswer));
    const date = Date.parse(String(answer.headers['date']));
    return [compare(place, address, seen), ...compareClocks(date)];
  } catch (error) {
    return [
      problem(place, {
        message: `gets no answer from --expect-url (${messageOf(error)})`,
        expected: 'an answer with the address of the caller',
        fix: 'see whether the page is there, and of the same address family',
      }),
    ];
  } finally {
    await dispatcher.destroy();
  }
}

function firstAddress(text: string): Address | null {
  const words = text.match(/[0-9a-f.:]+/gi) ?? [];
  for (const word of words) {
    const address = parseAddress(word);
    if (address !== null) return address;
  }
  return null;
}

function compare(place: string, { text }: Address, seen: Address | null): Finding {
  if (seen?.text === text) return ok(place, 'is what others see');
  return problem(place, {
    message: seen === null ? 'the page names no address' : `others see ${seen.text} instead`,
    expected: `that traffic from ${text} arrives as ${text}`,
    fix: 'find what translates it; a network zone has to hold the address that is seen',
  });
}

function compareClocks(date: number): readonly Finding[] {
  const skewMs = Math.abs(Date.now() - date);
  if (!(skewMs > maxSkewMs)) return [];
  return [
    warning('clock', {
      message: `is ${Math.round(skewMs / 1000)} s away from that of --expect-url`,
      expected: 'a clock that is right: certificates, lists and tokens are judged by it',
      fix: 'let the machine keep its clock (NTP)',
    }),
  ];
}
