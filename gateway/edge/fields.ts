// Decides which header fields a forwarded message keeps: hop-by-hop fields, Via, loops (RFC 9110 section 7.6).

/** Name and value in turn, as `rawHeaders` has them. */
export type RawFields = readonly string[];

const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  // Trailers are not carried: a name in one must never pass for a header (threats H27).
  'trailer',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
]);

// What a device says about itself or its way here is not for origins to believe (threats H29), and a
// forward proxy must not pass client certificates on (RFC 9440 section 4).
const claims = /^(?:forwarded|x-forwarded-.*|x-real-ip|client-cert|client-cert-chain)$/;

// Framing and routing survive whatever Connection nominates (threats H18).
const notNominable: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
  'set-cookie',
  'via',
  'cache-control',
]);

/** What this hop adds. The version in Via is that of the received message (RFC 9110 section 7.6.3). */
export interface Hop {
  readonly method: string;
  readonly authority: string;
  /** `1.1 gw` */
  readonly via: string;
}

/** The fields of a request as they go to the origin; Host is the target's, never the device's. */
export function requestFields(raw: RawFields, hop: Hop): string[] {
  const kept: string[] = ['host', hop.authority];
  const nominated = nominatedBy(raw);
  const passed: string[] = [];
  for (const [name, value] of pairs(raw)) {
    const lower = name.toLowerCase();
    if (lower === 'host' || lower === 'expect' || claims.test(lower)) continue;
    if (hopByHop.has(lower) || nominated.has(lower)) continue;
    if (lower === 'via') passed.push(value);
    else if (lower === 'max-forwards' && hop.method === 'OPTIONS') kept.push(name, oneLess(value));
    else kept.push(name, value);
  }
  kept.push('via', [...passed, hop.via].join(', '));
  return kept;
}

/** The fields of an answer as they go to the device. */
export function responseFields(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  via: string,
): Record<string, string | string[]> {
  const nominated = nominatedBy(
    Object.entries(headers).flatMap(([name, value]) =>
      [value ?? []].flat().flatMap((one) => [name, one]),
    ),
  );
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || hopByHop.has(name) || nominated.has(name)) continue;
    kept[name] = value;
  }
  kept['via'] = [kept['via'] ?? [], `1.1 ${via}`].flat().join(', ');
  return kept;
}

/** Whether the request has been through a gateway of this name already (threats H21). */
export function isLoop(raw: RawFields, via: string): boolean {
  return pairs(raw).some(
    ([name, value]) =>
      name.toLowerCase() === 'via' &&
      value.split(',').some((member) => member.trim().split(/[ \t]+/)[1] === via),
  );
}

/** All values of a field, in order; `wanted` in lower case. */
export function fieldValues(raw: RawFields, wanted: string): string[] {
  return pairs(raw).flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : []));
}

function oneLess(hops: string): string {
  return /^[1-9]\d{0,8}$/.test(hops) ? String(Number(hops) - 1) : hops;
}

function nominatedBy(raw: RawFields): ReadonlySet<string> {
  return new Set(
    pairs(raw)
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(','))
      .map((name) => name.trim().toLowerCase())
      .filter((name) => !notNominable.has(name)),
  );
}

function pairs(raw: RawFields): [name: string, value: string][] {
  return Array.from({ length: raw.length >> 1 }, (_, i) => [
    raw[2 * i] ?? '',
    raw[2 * i + 1] ?? '',
  ]);
}
