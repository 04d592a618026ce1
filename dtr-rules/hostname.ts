// Owns the one canonical form of host names: lower-case A-labels, no final dot.

const name = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;
const asciiName = /^[a-z0-9._-]+$/i;

// WHATWG URL section 3.5: a name whose last label is a number is an IPv4 address to somebody (`127.1`,
// `0x7f.1`, `2130706433`), and must never be judged as a name (threats S02).
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/** Null for anything that is not a valid host name, IP literals included. Every spelling of a name gives the same
 *  text or null, never another name (threats D03, D04, S10). Underscores occur in real names and are admitted. */
export function canonicalHostname(text: string): string | null {
  const isPlain = asciiName.test(text) && !/(?:^|\.)xn--/i.test(text);
  const ascii = isPlain ? text.toLowerCase() : toALabels(text);
  if (ascii === null) return null;
  const host = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  return host.length <= 253 && name.test(host) && !endsInNumber.test(host) ? host : null;
}

/** UTS #46 by way of `URL`. Only letters, digits, `-`, `_` and `.` go in besides what is not ASCII, so that nothing in the
 *  text can end the host part of the URL. */
function toALabels(text: string): string | null {
  if (text.length > 1024 || !/^[a-z0-9._\-\u0080-\uffff]+$/i.test(text)) return null;
  // `URL` does not look into `xn--` labels of an all-ASCII host. The soft hyphen maps to nothing, and makes it look.
  return URL.parse(`http://\u00ad${text}`)?.hostname ?? null;
}
