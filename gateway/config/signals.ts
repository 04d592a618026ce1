// The part of zonegate.yaml that says who may push security events, how they are checked, and whom they name.

import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';
import type { Issue } from '../../runtime/issue.ts';
import { durationMs, httpUrl, name, optional, secretText, section } from '../../runtime/schema.ts';
import { parseKeySet } from '../posture/signals/issuer-keys.ts';
import { SUBJECT_FORMATS } from '../posture/signals/subject.ts';
import { SIGNATURES } from '../posture/signals/verify.ts';

const file = z.string().min(1).meta({ description: 'a path, relative to the configuration file' });
const shortText = z.string().min(1).max(1000);

/** Keys decide who is believed: over the network nobody must be able to exchange them. */
const keysUrl = httpUrl().superRefine((url, context) => {
  const { protocol, hostname } = new URL(url);
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  if (protocol === 'https:' || isHere) return;
  const params = { hint: 'http is for addresses of this machine only' };
  context.addIssue({ code: 'custom', message: 'expected an https URL', input: url, params });
});

const subject = section({
  format: z.enum(SUBJECT_FORMATS),
  issuer: optional(shortText),
  prefix: z.string().max(200).default(''),
  names: z.enum(['device', 'serial', 'number', 'user']).default('device'),
  source: optional(name()),
});

const signal = section({
  name: name(),
  issuer: shortText,
  audience: z.array(shortText).min(1),
  keys: z.union([section({ url: keysUrl }), section({ file })]),
  authority: optional(file),
  algorithms: z.array(z.enum(SIGNATURES)).min(1).default(['RS256', 'PS256', 'ES256']),
  token: secretText(),
  maxAge: durationMs({ minMs: 60_000, maxMs: 604_800_000 }).prefault('5m'),
  subjects: z
    .array(subject)
    .min(1)
    .prefault([{ format: 'opaque' }]),
  whenSilent: z.enum(['refuse', 'grace']).default('refuse'),
  blockFor: optional(durationMs({ minMs: 1000 })),
});

export type SignalConfig = z.output<typeof signal>;

export const signalsSection = z
  .array(signal)
  .default([])
  .superRefine((signals, context) => {
    for (const [index, { name: own }] of signals.entries()) {
      if (signals.findIndex((one) => one.name === own) === index) continue;
      context.addIssue({
        code: 'custom',
        message: `\`${own}\` is the name of another sender`,
        path: [index, 'name'],
        input: own,
      });
    }
  });

/** What the files of a sender hold. */
export interface SignalFiles {
  /** Null where keys are fetched. */
  readonly keys: JSONWebKeySet | null;
  readonly authority: string | null;
}

/** Reads them; what is wrong is told at its place. */
export async function readSignals(
  signals: readonly SignalConfig[],
  read: (file: string, path: Issue['path']) => Promise<Buffer | null>,
  tell: (issue: Issue) => void,
): Promise<ReadonlyMap<string, SignalFiles>> {
  const all = new Map<string, SignalFiles>();
  for (const [index, { name: own, keys, authority }] of signals.entries()) {
    const path = ['posture', 'signals', index];
    const ca = authority === null ? null : await read(authority, [...path, 'authority']);
    let set: JSONWebKeySet | null = null;
    if ('file' in keys) {
      const bytes = await read(keys.file, [...path, 'keys', 'file']);
      const parsed = bytes === null ? null : parseKeySet(bytes.toString());
      if (typeof parsed === 'string') {
        const message = `\`${keys.file}\`: ${parsed}`;
        const hint = 'it is what the sender has at the `jwks_uri` of its configuration';
        tell({ path: [...path, 'keys', 'file'], message, hint });
      } else set = parsed;
    }
    all.set(own, { keys: set, authority: ca?.toString() ?? null });
  }
  return all;
}
