// Owns what a profile is: what it is made from, the files it consists of, and what of the rules it cannot say.

import type { Application, RuleSet, Target } from '../rule.ts';
import type { PlistValue } from './plist.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** `closed`: what belongs into the tunnel fails without it. `open`: it goes direct then, from the device's own address. */
export type FailMode = 'closed' | 'open';

/** What devices have to know of the gateway, and where they keep what they need for it. */
export interface ProfileFacts {
  /** Where devices reach the gateway, by the name in its certificate. */
  readonly gateway: Endpoint;
  /** The same with HTTP/1.1 only. */
  readonly gatewayHttp1: Endpoint | null;
  readonly failMode: FailMode;
  /** Where the PAC file is served; null puts it into the profile. */
  readonly pacUrl: string | null;
  /** Common name of who issued the device certificates, so that no other certificate is offered. */
  readonly issuer: string | null;
  /** PEM of who issued the gateway's certificate; null where devices trust it already. */
  readonly authority: string | null;
  /** Where the agent on the device listens; null is no agent. */
  readonly agent: Endpoint | null;
  /** Paths on the device, for programs that read certificates from files. */
  readonly deviceFiles: {
    readonly certificate: string;
    readonly key: string;
    readonly authority: string;
  };
  /** Null where nothing says how Apple's devices come by their certificate. */
  readonly apple: AppleFacts | null;
}

export interface AppleFacts {
  /** In reverse-domain style; what devices and the MDM know the profile by. */
  readonly identifier: string;
  /** What people read on the device. */
  readonly visibleName: string;
  readonly identity: AppleIdentity | null;
  /** The same UUID for the same name, always: devices take another one for another profile. */
  readonly uuidOf: (name: string) => string;
}

/** Where the device's certificate comes from. `payload` has the keys of Apple's payload of that kind. */
export interface AppleIdentity {
  readonly kind: 'pkcs12' | 'scep' | 'acme';
  readonly payload: { readonly [key: string]: PlistValue };
  /** Whether the payload holds a password or a key. */
  readonly isSecret: boolean;
}

export interface ProfileInput {
  readonly set: RuleSet;
  /** The one application the profile is for; null is all of them. */
  readonly app: Application | null;
  readonly now: number;
  readonly facts: ProfileFacts;
}

export interface ProfileFile {
  readonly name: string;
  readonly contentType: string;
  readonly content: string | Uint8Array;
  /** It holds a password or a key: only its owner may read it. */
  readonly isSecret?: boolean;
}

/** Something the rules say and the profile cannot. The gateway enforces the rules all the same for what reaches it. */
export interface NotExpressed {
  /** Null is the default action, or the set as a whole. */
  readonly rule: string | null;
  readonly what: string;
  readonly consequence: string;
}

/** With the targets for which the profile may therefore differ from the rules. */
export interface Note extends NotExpressed {
  covers(target: Target): boolean;
}

export interface Profile {
  readonly files: readonly ProfileFile[];
  readonly notExpressed: readonly NotExpressed[];
  /** When the rules next change by themselves, because one begins or ends: then the profile is to be made again. */
  readonly changesAt: number | null;
}

/** Where a device sends a connection. */
export type Way = 'gateway' | 'gateway-or-direct' | 'direct';

export function formatEndpoint({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
