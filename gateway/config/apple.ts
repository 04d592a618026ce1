// The part of zonegate.yaml that says how Apple's devices come by their certificate, and what they call the gateway.

import { z } from 'zod';
import { httpUrl, optional, secretText, section } from '../../runtime/schema.ts';

/** `CN=$SERIALNUMBER, O=Example`: what begins with `$` or `%` the MDM fills in. */
const subject = z
  .string()
  .meta({ description: 'a distinguished name', examples: ['CN=$SERIALNUMBER, O=Example'] })
  .transform((text, context) => {
    const parts = text.split(',').map((part) => /^\s*([A-Za-z]+|\d+(?:\.\d+)+)=(.+)$/.exec(part));
    const names = parts.map((found) => [[found?.[1] ?? '', found?.[2]?.trim() ?? '']]);
    if (names.flat(2).every((one) => one !== '')) return names;
    context.addIssue({
      code: 'custom',
      message: 'expected a distinguished name',
      input: text,
      params: { hint: 'for example `CN=$SERIALNUMBER, O=Example`' },
    });
    return z.NEVER;
  });

const acme = section({
  directoryUrl: httpUrl(),
  clientIdentifier: z.string().min(1),
  subject,
  keyType: z.enum(['ECSECPrimeRandom', 'RSA']).default('ECSECPrimeRandom'),
  keySize: z.int().min(192).max(4096).default(384),
  hardwareBound: z.boolean().default(true),
  attest: z.boolean().default(true),
}).superRefine(({ keyType, keySize, hardwareBound, attest }, context) => {
  const refuse = (key: string, message: string) =>
    context.addIssue({ code: 'custom', message, path: [key], input: null });
  if (attest && !hardwareBound)
    refuse('attest', 'only a key bound to the hardware can be attested');
  const fits = keyType === 'ECSECPrimeRandom' && [256, 384].includes(keySize);
  if (hardwareBound && !fits) {
    refuse(
      'hardwareBound',
      'expected `ECSECPrimeRandom` and 256 or 384 for a key bound to the hardware',
    );
  }
});

const scep = section({
  url: httpUrl(),
  name: optional(z.string().min(1)),
  subject,
  challenge: optional(secretText()),
  keySize: z.union([z.literal(2048), z.literal(4096)]).default(2048),
  keyUsage: z.int().min(0).max(5).default(5),
});

const path = z.string().min(1).meta({ description: 'a path, relative to the configuration file' });

const signing = section({ certificate: path, key: path, chain: optional(path) });

export const appleSection = section({
  identifier: optional(
    z
      .string()
      .regex(/^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/, 'expected a name in reverse-domain style'),
  ),
  visibleName: z.string().min(1).max(100).default('Company gateway'),
  acme: optional(acme),
  scep: optional(scep),
  signing: optional(signing),
}).prefault({});
