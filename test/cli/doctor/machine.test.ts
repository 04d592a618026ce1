// What the doctor says of the machine: the listeners that an outgoing connection could keep from starting.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMachine } from '../../../cli/doctor/machine.ts';
import type { Everything } from '../../../cli/load.ts';

const at = (port: number) => ({ host: '', port });
const all = {
  file: import.meta.filename,
  common: { workers: 1, admin: { listen: at(8446) } },
  gateway: {
    config: {
      limits: { tunnels: 1, unauthenticated: 1 },
      listeners: {
        device: at(8443),
        deviceHttp1: at(40_001),
        apps: [
          { listen: at(40_002), app: 'mail' },
          { listen: at(9000), app: 'chat' },
        ],
        pac: at(40_003),
      },
    },
  },
} as unknown as Everything;

test('every listener whose port is among the source ports is named, those of applications too', () => {
  const read = (file: string) => (file.endsWith('port_range') ? '32768\t60999\n' : null);
  const places = checkMachine(all, read, Date.now())
    .filter(({ level }) => level === 'warning')
    .map(({ place }) => place);
  assert.deepEqual(places, ['listener :40001', 'listener :40002', 'listener :40003']);
});
