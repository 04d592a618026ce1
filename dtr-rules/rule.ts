// Owns the data of device traffic rules: applications, rule sets, rules, destinations, targets, and the tests of a file.

import type { Address, AddressRange } from './address.ts';

export type Path = readonly (string | number)[];

/** One thing wrong in the input, and where. */
export interface Issue {
  readonly path: Path;
  /** What is wrong and what was expected: lower case, no full stop, input in backticks. */
  readonly message: string;
  /** The fix, where there is an obvious one. */
  readonly hint: string | null;
}

/** A file loads whole or not at all: skipping a broken rule would let through what it was there to stop. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly Issue[] };

export type Action = 'TUNNEL' | 'BYPASS' | 'BLOCK' | 'PROXY';
export type Posture = 'healthy' | 'unhealthy';

/** What a device asks for. */
export interface Target {
  /** Canonical: a host name as `canonicalHostname` gives it, or the text of `address`. */
  readonly host: string;
  /** Set when the device asked for an IP literal. */
  readonly address: Address | null;
  readonly port: number;
}

/** What else a rule may ask of a connection. */
export interface Circumstances {
  /** What its application is called, by something that is believed; null is unknown. */
  readonly app: string | null;
  readonly now: number;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The place a destination stands for, ports aside. */
export type Place =
  | { readonly kind: 'any' }
  | { readonly kind: 'host'; readonly host: string }
  /** `*.example.com` leaves the apex out, `.example.com` takes it in. */
  | { readonly kind: 'subdomains'; readonly suffix: string; readonly apex: boolean }
  /** Any other use of `*`: any characters, dots included, or none. */
  | { readonly kind: 'pattern'; readonly pattern: string }
  | { readonly kind: 'addresses'; readonly range: AddressRange };

export type Destination = Place & {
  /** Null is every port. */
  readonly ports: readonly PortRange[] | null;
  /** As it was written. */
  readonly text: string;
};

/** A program on devices, under every name something may know it by; at least one is set. */
export interface Application {
  readonly name: string;
  readonly bundleId: string | null;
  readonly packageName: string | null;
  /** Of the executable, as Windows writes it; upper and lower case are the same. */
  readonly path: string | null;
  /** Subject of the certificate it is signed with. */
  readonly publisher: string | null;
}

export interface Rule {
  readonly id: string;
  readonly action: Action;
  /** Null is every application, an unknown one too. */
  readonly apps: readonly Application[] | null;
  readonly destinations: readonly Destination[];
  /** Name of the upstream proxy; PROXY only. */
  readonly upstream: string | null;
  /** Name of the egress pool; null is the default pool. */
  readonly egress: string | null;
  /** Special-purpose addresses (loopback, private, ...) this rule may reach. */
  readonly open: readonly AddressRange[];
  readonly idleMs: number | null;
  readonly lifetimeMs: number | null;
  /** In force from this moment on, and until just before that one; null is always. */
  readonly validFromMs: number | null;
  readonly validUntilMs: number | null;
  /** Decides nothing: what it would have done is only told. */
  readonly reportOnly: boolean;
  readonly description: string | null;
  /** Where the rule was asked for. */
  readonly ticket: string | null;
  readonly path: Path;
}

/** Which devices a rule set is for. Null asks nothing. */
export interface Assignment {
  readonly posture: readonly Posture[];
  readonly platforms: readonly string[] | null;
  readonly groups: readonly string[] | null;
  readonly tags: readonly string[] | null;
}

/** Whether devices send all they have to say through the profile, or only the traffic of some applications. It
 *  shapes profiles; the rules themselves read the same in both. */
export type Mode = 'full-device' | 'per-app';

export interface RuleSet {
  readonly name: string;
  readonly mode: Mode;
  readonly assign: Assignment;
  readonly defaultAction: Action;
  readonly rules: readonly Rule[];
  readonly path: Path;
}

/** An exact expectation; null expects nothing in particular. */
export interface ExactTest {
  readonly target: Target;
  readonly action: Action | null;
  readonly rule: string | null;
  readonly set: string | null;
}

/** A test the file carries: it must pass before the file is used. */
export interface RuleTest {
  readonly name: string;
  readonly posture: Posture;
  readonly platform: string | null;
  readonly groups: readonly string[];
  readonly tags: readonly string[];
  /** What the connection's application is called, by any of its names; null is unknown. */
  readonly app: string | null;
  /** The moment of the test; null is the moment it is run. */
  readonly atMs: number | null;
  /** Must be TUNNEL or PROXY. */
  readonly accept: readonly Target[];
  /** Must be anything else. */
  readonly deny: readonly Target[];
  readonly exact: readonly ExactTest[];
  readonly path: Path;
}

export interface RuleFile {
  readonly applications: readonly Application[];
  readonly sets: readonly RuleSet[];
  readonly tests: readonly RuleTest[];
}
