// Decides which header and trailer fields a forwarded message keeps: hop-by-hop fields, Via, loops (RFC 9110 section 7.6).

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

// RFC 9110 section 6.5.1: what decides framing, routing, rights or the reading of the content comes
// before the content, or not at all; nor may a trailer name what this hop takes out (threats H27).
const neverTrailing: ReadonlySet<string> = new Set([
  ...hopByHop,
  ...notNominable,
  'age',
  'authentication-info',
  'content-encoding',
  'content-range',
  'date',
  'expect',
  'expires',
  'location',
  'max-forwards',
  'pragma',
  'range',
  'retry-after',
  'trailer',
  'vary',
  'warning',
  'www-authenticate',
]);

/** What this hop adds. The version in Via is that of the received message (RFC 9110 section 7.6.3). */
export interface Hop {
  readonly method: string;
  readonly authority: string;
  /** `1.1 gw` */
  readonly via: string;
  /** The field that names the application, in lower case: it ends here (see app.ts). */
  readonly app: string | null;
  /** The protocols the device would change to, as they go on. */
  readonly upgrade: string | null;
  /** The body ends with a trailer section: it goes in chunks. */
  readonly trailers: boolean;
}

export interface AnswerHop extends Pick<Hop, 'via'> {
  readonly status: number;
  /** A trailer section may follow. */
  readonly trailers: boolean;
}

/** The fields of a request as they go to the origin; Host is the target's, never the device's. */
export function requestFields(raw: RawFields, hop: Hop): string[] {
  const kept: string[] = ['host', hop.authority];
  const nominated = nominatedBy(raw);
  let via = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'host' || lower === 'expect' || lower === hop.app || claims.test(lower)) continue;
    if (hopByHop.has(lower) || nominated?.has(lower)) continue;
    if (lower === 'via') via += `${value}, `;
    else if (lower === 'trailer') keepTrailer(kept, value, hop);
    else if (lower === 'max-forwards' && hop.method === 'OPTIONS') kept.push(name, oneLess(value));
    else kept.push(name, value);
  }
  const options: string[] = [];
  if (acceptsTrailers(raw)) {
    kept.push('te', 'trailers');
    options.push('te');
  }
  if (hop.upgrade !== null) {
    kept.push('upgrade', hop.upgrade);
    options.push('upgrade');
  }
  if (options.length > 0) kept.push('connection', options.join(', '));
  kept.push('via', via + hop.via);
  return kept;
}

/** The fields of an answer as they go to the device. */
export function responseFields(raw: RawFields, hop: AnswerHop): string[] {
  const nominated = nominatedBy(raw);
  const kept: string[] = [];
  let via = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || nominated?.has(lower)) continue;
    if (lower === 'via') via += `${value}, `;
    else if (lower === 'trailer') keepTrailer(kept, value, { trailers: hop.trailers, app: null });
    else if (lower !== 'content-length' || mayHaveLength(hop.status)) kept.push(name, value);
  }
  kept.push('via', via + hop.via);
  return kept;
}

/** What of a trailer section goes on; `app` as in `Hop`, null for that of an answer. */
export function trailerFields(raw: RawFields, app: string | null): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (mayTrail(name, app)) kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

/** Only then may a trailer section be sent to it (RFC 9110 section 6.5.1). */
export function acceptsTrailers(raw: RawFields): boolean {
  return fieldValues(raw, 'te').some((value) => /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value));
}

/** Whether the request has been through a gateway of this name already (threats H21). */
export function isLoop(raw: RawFields, via: string): boolean {
  return fieldValues(raw, 'via').some((value) =>
    value.split(',').some((member) => member.trim().split(/[ \t]+/)[1] === via),
  );
}

const none: readonly string[] = [];

/** All values of a field, in order; `wanted` in lower case. */
export function fieldValues(raw: RawFields, wanted: string): readonly string[] {
  let values: string[] | null = null;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    // Most names have another length, and that is told without looking at them.
    if (name.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    values ??= [];
    values.push(raw[i + 1] ?? '');
  }
  return values ?? none;
}

/** As they go over HTTP/1.1. */
export function linesOf(fields: RawFields): string {
  let lines = '';
  for (let i = 0; i < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return lines;
}

/** RFC 9110 section 8.6; an HTTP/2 client takes it for a broken stream. */
function mayHaveLength(status: number): boolean {
  return status >= 200 && status !== 204;
}

function keepTrailer(
  kept: string[],
  value: string,
  { trailers, app }: Pick<Hop, 'trailers' | 'app'>,
): void {
  if (!trailers) return;
  const names = value.split(',').map((name) => name.trim());
  const announced = names.filter((name) => name !== '' && mayTrail(name, app));
  if (announced.length > 0) kept.push('trailer', announced.join(', '));
}

function mayTrail(name: string, app: string | null): boolean {
  const lower = name.toLowerCase();
  return (
    lower !== app && !(neverTrailing.has(lower) || claims.test(lower) || lower.startsWith('if-'))
  );
}

function oneLess(hops: string): string {
  return /^[1-9]\d{0,8}$/.test(hops) ? String(Number(hops) - 1) : hops;
}

function nominatedBy(raw: RawFields): ReadonlySet<string> | null {
  const values = fieldValues(raw, 'connection');
  if (values.length === 0) return null;
  const names = values.flatMap((value) => value.split(','));
  return new Set(
    names.map((name) => name.trim().toLowerCase()).filter((name) => !notNominable.has(name)),
  );
}
