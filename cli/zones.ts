// `zonegate zones`: the tools for network zones, a file for each.

import type { Command } from 'commander';
import { addZonesCheck } from './zones/check.ts';

export function addZones(program: Command): void {
  const zones = program
    .command('zones')
    .description('ask the network zones')
    .addHelpText('before', 'Example: zonegate zones check 203.0.113.8\n')
    .addHelpText('after', '\nMore: docs/zones.md');
  addZonesCheck(zones);
}
