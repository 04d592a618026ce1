// Owns versions of operating systems: dotted numbers, compared part by part.

export type OsVersion = readonly number[];

// What follows the number is a build or a supplement (`14.2.1 (23C71)`); what runs into it is another kind of version.
const form = /^\d{1,9}(?:\.\d{1,9}){0,5}(?=$|[\s(+-])/;

/** `18.1.0`, `10.0.22631.3155`, `14.2.1 (23C71)`. Null for what does not begin with a dotted number: nobody can
 *  tell whether `Windows 11` is older than `10.0.26100`. */
export function parseOsVersion(text: string): OsVersion | null {
  const found = form.exec(text.trim());
  return found === null ? null : found[0].split('.').map(Number);
}

/** Parts that are not written are 0: `18` is `18.0.0`. */
export function isAtLeast(version: OsVersion, floor: OsVersion): boolean {
  for (let at = 0; at < Math.max(version.length, floor.length); at += 1) {
    const difference = (version[at] ?? 0) - (floor[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
