// Finds the configuration file: flag, environment, then the usual places; the first found wins.

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './output.ts';

export function findConfigFile(flag: string | undefined): string {
  const named = flag ?? process.env['ZONEGATE_CONFIG'];
  if (named !== undefined) {
    if (existsSync(named)) return named;
    throw new UsageError(
      `there is no file \`${named}\`; \`zonegate quickstart\` makes a working one`,
    );
  }
  const home = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  const places = [
    'zonegate.yaml',
    join(home, 'zonegate/zonegate.yaml'),
    '/etc/zonegate/zonegate.yaml',
  ];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new UsageError(
    `no configuration found (looked at ${places.join(', ')}); name one with --config, or let \`zonegate quickstart\` make one`,
  );
}
