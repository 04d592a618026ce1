// Owns the policies of Chromium and its kin (Chrome, Edge), and every form in which they are handed to a machine.

import { inRange, parseAddressRange } from '../address.ts';
import type { Target } from '../rule.ts';
import { embeddedPac, localNote, makePacFor, withLocal } from './browser.ts';
import { type Draft, type Making, remark } from './draft.ts';
import { lengthNotes } from './pac.ts';
import { plistText } from './plist.ts';
import { formatEndpoint, type ProfileFacts } from './profile.ts';

interface ChromiumPolicy {
  readonly [name: string]:
    | readonly string[]
    | {
        readonly ProxyMode: string;
        readonly ProxyPacUrl: string;
        readonly ProxyPacMandatory: boolean;
      };
}

type Browser = 'chrome' | 'edge';

const places = {
  chrome: { registry: 'Google\\Chrome', domain: 'com.google.Chrome' },
  edge: { registry: 'Microsoft\\Edge', domain: 'com.microsoft.Edge' },
} as const;

/** For the folder of managed policies on Linux. */
export function makeChromiumJson(making: Making): Draft {
  return draft(making, (policy) => ({
    name: 'zonegate.json',
    contentType: 'application/json',
    content: `${JSON.stringify(policy, null, 2)}\n`,
  }));
}

export function makeChromiumReg(making: Making, browser: Browser): Draft {
  const key = `HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\${places[browser].registry}`;
  return draft(making, (policy) => ({
    name: `zonegate-${browser}.reg`,
    contentType: 'text/plain',
    content: regText(key, policy),
  }));
}

export function makeChromiumPlist(making: Making, browser: Browser): Draft {
  return draft(making, (policy) => ({
    name: `${places[browser].domain}.plist`,
    contentType: 'application/xml',
    content: plistText(policy),
  }));
}

/** What an EMM hands to Chrome on Android: there every policy that is more than a word is text. */
export function makeAndroid(making: Making): Draft {
  const made = draft(making, (policy) => {
    const managedConfiguration = Object.fromEntries(
      Object.entries(policy).map(([name, value]) => [name, asciiJson(value)]),
    );
    const app = { packageName: 'com.android.chrome', managedConfiguration };
    return {
      name: 'zonegate-android.json',
      contentType: 'application/json',
      content: `${JSON.stringify(app, null, 2)}\n`,
    };
  });
  const notes = [
    remark(
      'other programs than Chrome',
      'they go direct; Android gives no certificate to a proxy for them, an agent does',
    ),
    remark(
      'the device certificate before Chrome 143',
      'older ones, and certificates that Chrome has not provisioned itself, are refused',
    ),
  ];
  return { ...made, notes: [...made.notes, ...notes] };
}

function draft(making: Making, write: (policy: ChromiumPolicy) => Draft['files'][number]): Draft {
  const { facts } = making;
  const { text, proxy } = makePacFor(making);
  const file = write(chromiumPolicy(facts, facts.pacUrl ?? embeddedPac.url(text)));
  return {
    files: [file],
    notes: [...localNote(making, goesDirect), ...(facts.pacUrl === null ? [] : lengthNotes(text))],
    waysIn: withLocal(embeddedPac.waysIn(file.content, proxy, making.runPac), goesDirect),
  };
}

function chromiumPolicy(facts: ProfileFacts, pacUrl: string): ChromiumPolicy {
  const filter = facts.issuer === null ? {} : { ISSUER: { CN: facts.issuer } };
  // Matched against the address of the proxy, not of the site (Chromium 156).
  const select = { pattern: `https://${formatEndpoint(facts.gateway)}`, filter };
  return {
    ProxySettings: {
      ProxyMode: 'pac_script',
      ProxyPacUrl: pacUrl,
      ProxyPacMandatory: facts.failMode === 'closed',
    },
    AutoSelectCertificateForUrls: [JSON.stringify(select)],
    ...(facts.authority === null ? {} : { CACertificates: certificatesIn(facts.authority) }),
  };
}

/** Base64 of each certificate in a PEM file. */
function certificatesIn(pem: string): readonly string[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  return Array.from(blocks, ([, body = '']) => body.replace(/\s/g, ''));
}

/** A list is a key of its own with values 1, 2, 3; anything else that is more than a word is JSON in a string. */
function regText(key: string, policy: ChromiumPolicy): string {
  const single: string[] = [];
  const lists: string[] = [];
  for (const [name, value] of Object.entries(policy)) {
    if (!isList(value)) single.push(regValue(name, asciiJson(value)));
    else {
      const items = value.map((item, index) => regValue(String(index + 1), asciiOnly(item)));
      lists.push('', `[${key}\\${name}]`, ...items);
    }
  }
  const lines = ['Windows Registry Editor Version 5.00', '', `[${key}]`, ...single, ...lists, ''];
  return lines.join('\r\n');
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value);
}

function regValue(name: string, text: string): string {
  const quote = (one: string) => `"${one.replace(/["\\]/g, '\\$&')}"`;
  return `${quote(name)}=${quote(text)}`;
}

/** Without other letters than ASCII, so that the encoding of the file does not matter. */
function asciiJson(value: unknown): string {
  return asciiOnly(JSON.stringify(value));
}

function asciiOnly(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const localRanges = ['127.0.0.0/8', '169.254.0.0/16', '::1', 'fe80::/10']
  .map(parseAddressRange)
  .filter((range) => range !== null);

/** What these browsers never send to a proxy, whatever the PAC file says. */
function goesDirect({ host, address }: Target): boolean {
  if (address !== null) return localRanges.some((range) => inRange(address, range));
  return host === 'localhost' || host.endsWith('.localhost');
}
