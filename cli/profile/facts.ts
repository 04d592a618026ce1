// What devices have to know of the gateway, from the configuration and the files it names.

import { resolve } from 'node:path';
import type { ProfileFacts } from '../../dtr-rules/profiles/profile.ts';
import type { GatewayConfig } from '../../gateway/config/config.ts';
import { UsageError } from '../output.ts';
import { appleFactsOf, type IdentityOptions } from './apple.ts';
import { readInput } from './input.ts';

export async function factsOf(
  profiles: GatewayConfig['profiles'],
  folder: string,
  options: IdentityOptions,
): Promise<ProfileFacts> {
  if (profiles === null) {
    throw new UsageError(
      'the configuration does not say where devices reach the gateway; add `profiles: { gateway: "gw.example.net:8443" }`',
    );
  }
  const { authority, apple: _, pacSecret: __, pacServer: ___, ...facts } = profiles;
  return {
    ...facts,
    authority:
      authority === null
        ? null
        : (await readInput(resolve(folder, authority), 'of `profiles.authority`')).toString(),
    apple: await appleFactsOf(profiles, options),
  };
}
