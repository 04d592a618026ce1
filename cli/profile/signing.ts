// Signs configuration profiles for Apple devices, which then show whose they are instead of "not signed".

import { resolve } from 'node:path';
import { mobileConfigType } from '../../dtr-rules/profiles/apple-relay.ts';
import type { KindName } from '../../dtr-rules/profiles/kinds.ts';
import type { Profile } from '../../dtr-rules/profiles/profile.ts';
import type { GatewayConfig } from '../../gateway/config/config.ts';
import {
  type MessageSigner,
  readMessageSigner,
  signMessage,
} from '../../runtime/signed-message.ts';
import { UsageError } from '../output.ts';
import { readInput } from './input.ts';

export interface SigningOptions {
  readonly signCertificate?: string;
  readonly signKey?: string;
  readonly signChain?: string;
}

/** Paths; the options of the command stand for all of the configuration. */
interface SigningFiles {
  readonly certificate: string;
  readonly key: string;
  readonly chain: string | null;
}

/** Null signs nothing. */
export async function signerOf(
  kind: KindName,
  options: SigningOptions,
  config: { readonly profiles: GatewayConfig['profiles']; readonly folder: string },
): Promise<MessageSigner | null> {
  const named = filesOfOptions(options);
  if (kind !== 'apple-relay') {
    if (named === null) return null;
    throw new UsageError('only `apple-relay` is signed: leave out --sign-certificate and the like');
  }
  const files = named ?? filesOfConfig(config);
  return files === null ? null : await readSigner(files);
}

function filesOfOptions(options: SigningOptions): SigningFiles | null {
  const { signCertificate: certificate, signKey: key, signChain: chain } = options;
  if (certificate !== undefined && key !== undefined) {
    return { certificate, key, chain: chain ?? null };
  }
  if ([certificate, key, chain].every((one) => one === undefined)) return null;
  throw new UsageError('to sign takes --sign-certificate FILE and --sign-key FILE');
}

function filesOfConfig({ profiles, folder }: Parameters<typeof signerOf>[2]): SigningFiles | null {
  const signing = profiles?.apple.signing ?? null;
  if (signing === null) return null;
  const { certificate, key, chain } = signing;
  return {
    certificate: resolve(folder, certificate),
    key: resolve(folder, key),
    chain: chain === null ? null : resolve(folder, chain),
  };
}

async function readSigner(files: SigningFiles): Promise<MessageSigner> {
  const [certificate, key, chain] = await Promise.all([
    readInput(files.certificate, 'to sign with'),
    readInput(files.key, 'to sign with'),
    files.chain === null ? null : readInput(files.chain, 'to sign with'),
  ]);
  const pems = {
    certificate: certificate.toString(),
    key: key.toString(),
    chain: chain?.toString() ?? null,
  };
  const read = readMessageSigner(pems, Date.now());
  if (read.ok) return read.signer;
  throw new UsageError(`\`${files[read.at]}\` to sign with ${read.trouble}`);
}

export function signProfile(profile: Profile, signer: MessageSigner): Profile {
  const files = profile.files.map((file) => {
    if (file.contentType !== mobileConfigType) return file;
    const content = Buffer.from(file.content as string);
    return { ...file, content: signMessage(content, signer, Date.now()) };
  });
  return { ...profile, files };
}
