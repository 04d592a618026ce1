// The signing keys of the provider: a file of private JSON Web Keys, made on the first start.
import { generateKeyPair, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

// Invariant: asymmetric only. A key without one named algorithm could be talked into another (RFC 8725 3.1).
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

const keySet = z.object({
  keys: z
    .array(
      z.looseObject({
        kty: z.enum(['RSA', 'EC', 'OKP']),
        kid: z.string().min(1),
        alg: z.enum(ALGORITHMS),
        d: z.string().min(1),
      }),
    )
    .min(1),
});

export type KeySet = z.infer<typeof keySet>;

export async function readKeys(file: string): Promise<KeySet> {
  const text = (await readPrivate(file)) ?? (await createKeys(file));
  const parsed = keySet.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`\`${file}\` is not a set of private signing keys with \`kid\` and \`alg\``);
}

async function readPrivate(file: string): Promise<string | null> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (handle === null) return null;
  await using opened = handle;
  const { mode, uid } = await opened.stat();
  // A file of root's may be read by our group: that is how Kubernetes hands one to a service.
  const isHandedToUs = uid === 0 && process.getuid?.() !== 0;
  if (process.platform !== 'win32' && (mode & (isHandedToUs ? 0o027 : 0o077)) !== 0) {
    throw new Error(`\`${file}\` holds private keys and others can read it: chmod 600 ${file}`);
  }
  return await opened.readFile('utf8');
}

// The first key signs what no client asked otherwise for: RS256, which every client understands.
async function createKeys(file: string): Promise<string> {
  const make = promisify(generateKeyPair);
  const rsa = await make('rsa', { modulusLength: 2048 });
  const ec = await make('ec', { namedCurve: 'P-256' });
  const keys = [
    { ...rsa.privateKey.export({ format: 'jwk' }), alg: 'RS256' },
    { ...ec.privateKey.export({ format: 'jwk' }), alg: 'ES256' },
  ].map((key) => ({ ...key, use: 'sig', kid: randomUUID() }));
  const text = `${JSON.stringify({ keys }, null, 2)}\n`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Whole or not at all: a link appears at once, where a file being written can be read half.
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, file);
    return text;
  } catch (error) {
    // Another process started at the same moment and was first: its keys are the keys.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return await readFile(file, 'utf8');
    throw error;
  } finally {
    await unlink(draft);
  }
}
