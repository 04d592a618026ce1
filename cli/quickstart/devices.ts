// The four devices of quickstart and the demo: what their certificates say and what the stand-in UEM knows.

import type { StandInDevice } from './stand-in-device.ts';

export interface QuickstartDevice {
  /** Also the name of its certificate and key files. */
  readonly name: 'compliant' | 'non-compliant' | 'revoked' | 'unknown';
  readonly udid: string;
  readonly serial: string;
  readonly user: string;
  /** Null: the UEM has never heard of it. */
  readonly compliance: 'Compliant' | 'NonCompliant' | null;
}

export const quickstartDevices: readonly QuickstartDevice[] = [
  {
    name: 'compliant',
    udid: '6bf0c9a14e5d4f3c8a1b000000000001',
    serial: 'C02ZG0000001',
    user: 'ann',
    compliance: 'Compliant',
  },
  {
    name: 'non-compliant',
    udid: '6bf0c9a14e5d4f3c8a1b000000000002',
    serial: 'C02ZG0000002',
    user: 'ben',
    compliance: 'NonCompliant',
  },
  {
    name: 'revoked',
    udid: '6bf0c9a14e5d4f3c8a1b000000000003',
    serial: 'C02ZG0000003',
    user: 'cleo',
    compliance: 'Compliant',
  },
  {
    name: 'unknown',
    udid: '6bf0c9a14e5d4f3c8a1b000000000004',
    serial: 'C02ZG0000004',
    user: 'dora',
    compliance: null,
  },
];

export function uemDevices(): StandInDevice[] {
  return quickstartDevices.flatMap(({ udid, serial, user, compliance }, index) =>
    compliance === null
      ? []
      : {
          udid,
          id: 601 + index,
          serial,
          user,
          name: `${user}'s Mac`,
          platform: 'AppleOsX',
          group: 'staff',
          enrollment: 'Enrolled',
          compliance,
          compromised: false,
          lastSeen: null,
        },
  );
}
