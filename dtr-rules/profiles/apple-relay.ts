// Owns the network relay of Apple's systems: as a payload of a configuration profile, and as a declaration.

import type { WaysIn } from './check.ts';
import { type Draft, type Making, ProfileError } from './draft.ts';
import { type PlistValue, plistText } from './plist.ts';
import { type AppleFacts, type AppleIdentity, formatEndpoint } from './profile.ts';
import { type RelayLists, readRelayLists, relayLists } from './relay-lists.ts';
import { relayNotes } from './relay-notes.ts';

export const mobileConfigType = 'application/x-apple-aspen-config';

type Dict = { readonly [key: string]: PlistValue };

export function makeAppleRelay(making: Making): Draft {
  const { facts, set } = making;
  const { apple, identity } = appleOf(making);
  const lists = relayLists(making.plan);
  const credential = payload(apple, {
    type: `com.apple.security.${identity.kind}`,
    name: 'identity',
    title: `${apple.visibleName}: device certificate`,
  });
  const relay = {
    ...payload(apple, { type: 'com.apple.relay.managed', name: 'relay', title: apple.visibleName }),
    ...relayKeys(making, apple, lists),
    Relays: [{ ...hop(making), PayloadCertificateUUID: credential.PayloadUUID }],
  };
  const anchors = anchorsIn(facts.authority).map((der, index) => ({
    ...payload(apple, {
      type: 'com.apple.security.root',
      name: `authority${index}`,
      title: `${apple.visibleName}: certificate authority of the gateway`,
    }),
    PayloadContent: der,
  }));
  const profile: Dict = {
    ...payload(apple, { type: 'Configuration', name: null, title: apple.visibleName }),
    PayloadDescription: `Which connections go through the gateway, for rule set ${set.name}.`,
    PayloadScope: 'System',
    PayloadContent: [...anchors, { ...credential, ...identity.payload }, relay],
  };
  const content = plistText(profile);
  return {
    files: [
      {
        name: 'zonegate.mobileconfig',
        contentType: mobileConfigType,
        content,
        isSecret: identity.isSecret,
      },
    ],
    notes: relayNotes(making, apple, lists),
    waysIn: waysInRelay(making, relay),
  };
}

/** What identifies the device is an asset of the MDM: its data is not in a declaration, but at an address of the MDM. */
export function makeRelayDeclaration(making: Making): Draft {
  const { apple, identity } = appleOf(making);
  const lists = relayLists(making.plan);
  const asset = `${apple.identifier}.identity`;
  const relay = {
    VisibleName: apple.visibleName,
    Relays: [{ ...hop(making), CredentialAssetReference: asset }],
    ...relayKeys(making, apple, lists),
  };
  const declaration = {
    Type: 'com.apple.configuration.network.relay',
    Identifier: `${apple.identifier}.relay`,
    Payload: relay,
  };
  const credential = identity.kind === 'pkcs12' ? 'identity' : identity.kind;
  return {
    files: [
      {
        name: 'zonegate-relay.json',
        contentType: 'application/json',
        content: `${JSON.stringify(declaration, null, 2)}\n`,
      },
    ],
    notes: [
      ...relayNotes(making, apple, lists),
      {
        rule: null,
        what: 'the device certificate',
        consequence: `the MDM has to declare \`com.apple.asset.credential.${credential}\` with the identifier \`${asset}\``,
        covers: () => false,
      },
    ],
    waysIn: waysInRelay(making, relay),
  };
}

function appleOf({ facts: { apple } }: Making) {
  const identity = apple?.identity ?? null;
  if (apple === null || identity === null) {
    throw new ProfileError(
      'nothing says how devices come by their certificate: name a file with --identity pkcs12:FILE, or set `profiles.apple.acme` or `profiles.apple.scep`',
    );
  }
  return { apple, identity } satisfies { apple: AppleFacts; identity: AppleIdentity };
}

/** The bare form of the URL is the one that was seen to work over HTTP/2. */
function hop({ facts }: Making) {
  return { HTTP2RelayURL: `https://${formatEndpoint(facts.gateway)}/` };
}

function relayKeys({ facts }: Making, apple: AppleFacts, lists: RelayLists) {
  const isOpen = facts.failMode === 'open';
  return {
    ...keysOf(lists),
    // By which an MDM gives the relay to single applications.
    RelayUUID: apple.uuidOf(`${apple.identifier}.relay.applications`),
    UIToggleEnabled: isOpen,
    AllowDNSFailover: isOpen,
  };
}

const listKeys = [
  ['MatchDomains', 'matchDomains'],
  ['MatchFQDNs', 'matchNames'],
  ['ExcludedDomains', 'excludedDomains'],
  ['ExcludedFQDNs', 'excludedNames'],
] as const;

function keysOf(lists: RelayLists): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    listKeys.flatMap(([key, list]) => (lists[list].length === 0 ? [] : [[key, lists[list]]])),
  );
}

/** Reads what was written, by the words of Apple's schema. Addresses have no names to match. */
function waysInRelay({ facts }: Making, relay: Dict): WaysIn {
  const [matchDomains, matchNames, excludedDomains, excludedNames] = listKeys.map(
    ([key]) => (relay[key] ?? []) as readonly string[],
  ) as [readonly string[], readonly string[], readonly string[], readonly string[]];
  const matches = readRelayLists({ matchDomains, matchNames, excludedDomains, excludedNames });
  const isEverything = matchDomains.length === 0 && matchNames.length === 0;
  const toRelay = facts.failMode === 'open' ? 'gateway-or-direct' : 'gateway';
  return ({ host, address }) => {
    const isRelayed = address === null ? matches(host) : isEverything;
    return [isRelayed ? toRelay : 'direct'];
  };
}

interface Naming {
  readonly type: string;
  /** Null is the profile itself. */
  readonly name: string | null;
  readonly title: string;
}

function payload({ identifier, uuidOf }: AppleFacts, { type, name, title }: Naming) {
  const full = name === null ? identifier : `${identifier}.${name}`;
  return {
    PayloadType: type,
    PayloadVersion: 1,
    PayloadIdentifier: full,
    PayloadUUID: uuidOf(full),
    PayloadDisplayName: title,
  };
}

function anchorsIn(pem: string | null): readonly Uint8Array[] {
  const blocks = pem?.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END/g) ?? [];
  return Array.from(blocks, ([, base64 = '']) =>
    Uint8Array.from(atob(base64.replace(/\s/g, '')), (one) => one.charCodeAt(0)),
  );
}
