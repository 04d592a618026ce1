// The signing keys of the provider: a file of private JSON Web Keys, made on the first start and changed as planned.
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, randomUUID } from 'node:crypto';
import { link, mkdir, open, rename, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { fileTrouble, isOpenToOthers } from '../../runtime/file-trouble.ts';
import { type KeyPlan, planKeys } from './key-plan.ts';

// Invariant: asymmetric only. A key without one named algorithm could be talked into another (RFC 8725 3.1).
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

const keySet = z.object({
  keys: z
    .array(
      z
        .looseObject({
          kty: z.enum(['RSA', 'EC', 'OKP']),
          kid: z.string().min(1),
          alg: z.enum(ALGORITHMS),
          d: z.string().min(1),
          // Ours, in milliseconds since 1970; absent in a file made elsewhere.
          published_at: z.number().optional(),
          signs_from: z.number().optional(),
          retired_at: z.number().optional(),
        })
        .refine(isPrivateKey),
    )
    .min(1),
});

export type KeySet = z.infer<typeof keySet>;
export type SigningKey = KeySet['keys'][number];

type KeysFile =
  | { readonly state: 'keys'; readonly keys: KeySet }
  | { readonly state: 'missing' }
  | { readonly state: 'unusable'; readonly trouble: string };

export async function readKeys(file: string): Promise<KeySet> {
  const read = await readKeysFile(file);
  switch (read.state) {
    case 'keys':
      return read.keys;
    case 'missing':
      return await createKeys(file);
    case 'unusable':
      throw new Error(read.trouble);
  }
}

/** Why the provider could not start with this file, and what to do; null when it can. A missing one will be made. */
export async function checkKeysFile(file: string): Promise<string | null> {
  const read = await readKeysFile(file);
  return read.state === 'unusable' ? read.trouble : null;
}

// By its name alone: an issue can be read without credentials, at /readyz.
async function readKeysFile(file: string): Promise<KeysFile> {
  const name = basename(file);
  const unusable = (trouble: string): KeysFile => ({ state: 'unusable', trouble });
  try {
    await using opened = await open(file);
    if (isOpenToOthers(await opened.stat())) {
      return unusable(
        `\`${name}\` holds private keys and others can read it; run \`chmod 600\` on it`,
      );
    }
    const keys = parseKeys(await opened.readFile('utf8'));
    if (keys !== null) return { state: 'keys', keys };
    const fix = 'restore it, or move it away to have new keys made at the start';
    return unusable(
      `\`${name}\` is not a set of private signing keys with \`kid\` and \`alg\`; ${fix}`,
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'missing' };
    return unusable(
      `\`${name}\` cannot be read: ${fileTrouble(error)}; mend the path or its permissions`,
    );
  }
}

function parseKeys(text: string): KeySet | null {
  try {
    return keySet.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // what the parser says would quote the file
  }
}

function isPrivateKey(key: JsonWebKey): boolean {
  try {
    return createPrivateKey({ key, format: 'jwk' }).type === 'private';
  } catch {
    return false;
  }
}

/** A key of its own kind for each algorithm. */
export function makeKey(alg: SigningKey['alg']): SigningKey {
  const jwk = keyPair(alg).privateKey.export({ format: 'jwk' });
  const [key] = keySet.parse({ keys: [{ ...jwk, alg, use: 'sig', kid: randomUUID() }] }).keys;
  if (key === undefined) throw new Error('no key was made');
  return key;
}

function keyPair(alg: SigningKey['alg']) {
  switch (alg) {
    case 'RS256':
    case 'PS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
  }
}

/** The keys of the file, changed as is due by now. The file is replaced whole. */
export async function rotateKeys(
  file: string,
  plan: KeyPlan & { readonly now: number },
): Promise<KeySet> {
  const keys = await readKeys(file);
  const planned = planKeys(keys, { ...plan, make: makeKey });
  if (planned === null) return keys;
  await rename(await writeDraft(file, planned), file);
  return planned;
}

// The first key signs what no client asked otherwise for: RS256, which every client understands.
async function createKeys(file: string): Promise<KeySet> {
  const now = Date.now();
  const keys = (['RS256', 'ES256'] as const).map((alg) => ({ ...makeKey(alg), signs_from: now }));
  const made: KeySet = { keys };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Whole or not at all: a link appears at once, where a file being written can be read half.
  const draft = await writeDraft(file, made);
  try {
    await link(draft, file);
    return made;
  } catch (error) {
    // Another process started at the same moment and was first: its keys are the keys.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return await readKeys(file);
    throw error;
  } finally {
    await unlink(draft);
  }
}

async function writeDraft(file: string, keys: KeySet): Promise<string> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  return draft;
}
