// Password hashes (`scrypt$N$r$p$salt$hash`): making one, and checking a password without telling by time.
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

export interface PasswordHash {
  readonly cost: number; // N
  readonly blockSize: number; // r
  readonly parallel: number; // p
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const HASH_BYTES = 32;
// 32 MiB and about 0.2 s. The upper bounds keep a mistyped hash from taking the machine down at the first sign-in.
const DEFAULT = { cost: 2 ** 15, blockSize: 8, parallel: 3 };
const MAX_MEMORY = 256 * 2 ** 20;
const MAX_PARALLEL = 16;

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const { cost, blockSize, parallel } = DEFAULT;
  const hash = await derive(password, { ...DEFAULT, salt });
  const fields = [
    cost,
    blockSize,
    parallel,
    salt.toString('base64url'),
    hash.toString('base64url'),
  ];
  return `scrypt$${fields.join('$')}`;
}

export function parsePasswordHash(text: string): PasswordHash | null {
  const match = /^scrypt\$(\d{1,8})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,})\$([\w-]{43})$/.exec(text);
  if (match === null) return null;
  const [, n, r, p, salt, hash] = match;
  const [cost, blockSize, parallel] = [Number(n), Number(r), Number(p)];
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost));
  const fits = blockSize > 0 && 128 * cost * blockSize <= MAX_MEMORY;
  if (!isPowerOfTwo || !fits || parallel < 1 || parallel > MAX_PARALLEL) return null;
  const bytes = (value: string | undefined) => Buffer.from(value ?? '', 'base64url');
  return { cost, blockSize, parallel, salt: bytes(salt), hash: bytes(hash) };
}

export async function checkPassword(password: string, wanted: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, wanted), wanted.hash);
}

// What an unknown user is checked against: as costly as a real one, and right for no password.
export function decoyHash(like: PasswordHash | undefined): PasswordHash {
  return { ...DEFAULT, ...like, salt: randomBytes(16), hash: randomBytes(HASH_BYTES) };
}

function derive(password: string, how: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
  const { cost, blockSize, parallel, salt } = how;
  const options: ScryptOptions = {
    cost,
    blockSize,
    parallelization: parallel,
    maxmem: 2 * MAX_MEMORY,
  };
  return new Promise((resolve, reject) => {
    // NFKC: one password, however the keyboard composed it (NIST SP 800-63B 3.1.1.2).
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
