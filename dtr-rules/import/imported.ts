// Owns the data of an import: rules as another product has them, and every piece that could not be carried over.

import { readDestination, splitDestinations } from '../destination.ts';
import type { Action, Mode } from '../rule.ts';

/** Something of the input that is not, or not as it was, in the output. */
export interface Loss {
  /** Where in the input: `payload[0].rules[2].action`, or `line 4`. */
  readonly place: string;
  readonly what: string;
  readonly todo: string;
}

export interface ImportedApp {
  readonly name: string;
  readonly kind: 'bundleId' | 'packageName' | 'path' | 'publisher';
  readonly identifier: string;
}

export interface ImportedRule {
  readonly id: string;
  readonly action: Action;
  readonly upstream: string | null;
  readonly egress: string | null;
  /** Null is all. */
  readonly apps: readonly string[] | null;
  readonly destinations: readonly string[];
  readonly description: string | null;
  readonly ticket: string | null;
}

export interface ImportedSet {
  readonly name: string;
  readonly mode: Mode;
  readonly platforms: readonly string[] | null;
  readonly groups: readonly string[] | null;
  readonly defaultAction: Action;
  readonly rules: readonly ImportedRule[];
}

/** A proxy for `upstreams` in zonegate.yaml; its password is named and never copied. */
export interface ImportedUpstream {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly passwordVariable: string | null;
}

export interface Imported {
  readonly applications: readonly ImportedApp[];
  readonly sets: readonly ImportedSet[];
  readonly upstreams: readonly ImportedUpstream[];
  readonly losses: readonly Loss[];
}

export type ImportRead =
  | { readonly ok: true; readonly value: Imported }
  | { readonly ok: false; readonly message: string };

/** What is found on the way, in order; names are given once. */
export interface Notes {
  readonly applications: ImportedApp[];
  readonly upstreams: ImportedUpstream[];
  readonly losses: Loss[];
}

export function createNotes(): Notes {
  return { applications: [], upstreams: [], losses: [] };
}

export function lose({ losses }: Notes, place: string, what: string, todo: string): void {
  losses.push({ place, what, todo });
}

/** `Mail (iOS)` becomes `mail-ios`. */
export function slug(text: string, fallback: string): string {
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 50)
    .replace(/^-+|-+$/g, '');
  return plain === '' || plain === 'all' || plain === 'default' ? fallback : plain;
}

export function unique(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted;
  let number = 2;
  while (taken.includes(`${wanted}-${number}`)) number += 1;
  return `${wanted}-${number}`;
}

/** The name of an application with this identifier; the same identifier is the same application. */
export function appNamed(notes: Notes, { kind, identifier, name }: ImportedApp): string {
  const known = notes.applications.find(
    (one) => one.kind === kind && one.identifier === identifier,
  );
  if (known !== undefined) return known.name;
  const given = unique(
    slug(name, 'app'),
    notes.applications.map((one) => one.name),
  );
  notes.applications.push({ kind, identifier, name: given });
  return given;
}

export interface Proxy {
  readonly host: string;
  readonly port: number;
  readonly wanted: string;
  /** Null: it wants no sign-in; empty: it does, and nobody says as whom. */
  readonly username: string | null;
}

export function upstreamNamed(
  notes: Notes,
  place: string,
  { host, port, wanted, username }: Proxy,
): string {
  const known = notes.upstreams.find(
    (one) =>
      one.host === host && one.port === port && (one.username === null) === (username === null),
  );
  if (known !== undefined) return known.name;
  const name = unique(
    slug(wanted, 'proxy'),
    notes.upstreams.map((one) => one.name),
  );
  const variable = `${name.toUpperCase().replaceAll('-', '_')}_PASSWORD`;
  const passwordVariable = username === null ? null : variable;
  if (passwordVariable !== null) {
    lose(
      notes,
      place,
      `the password of the proxy \`${host}:${port}\` is not copied`,
      `set it in the environment as ${variable}`,
    );
  }
  notes.upstreams.push({ name, host, port, username, passwordVariable });
  return name;
}

/** Those that can be read; the others are losses. */
export function destinationsFrom(
  texts: readonly string[],
  notes: Notes,
  place: string,
): readonly string[] {
  const pieces = texts.flatMap(splitDestinations);
  return pieces.filter((piece) => {
    const reading = readDestination(piece);
    if (!reading.ok)
      lose(
        notes,
        place,
        `destination left out: ${reading.message}`,
        reading.hint ?? 'write it in another form',
      );
    return reading.ok;
  });
}

/** `proxy.corp:8080` */
export function readHostPort(
  text: string,
): { readonly host: string; readonly port: number } | null {
  const [, host, port] = /^(?:https?:\/\/)?([a-z0-9._-]+):(\d{1,5})\/?$/i.exec(text.trim()) ?? [];
  return host === undefined || Number(port) < 1 || Number(port) > 65_535
    ? null
    : { host: host.toLowerCase(), port: Number(port) };
}
