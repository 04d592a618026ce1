// What devices have to know of a gateway, for tests of profiles.

import { uuid5 } from '../../../cli/profile/uuid.ts';
import type { ProfileFacts } from '../../../dtr-rules/profiles/profile.ts';

export const facts: ProfileFacts = {
  gateway: { host: 'gw.example.net', port: 8443 },
  gatewayHttp1: null,
  failMode: 'closed',
  pacUrl: null,
  issuer: null,
  authority: null,
  agent: null,
  deviceFiles: {
    certificate: '/etc/zonegate/device.pem',
    key: '/etc/zonegate/device-key.pem',
    authority: '/etc/zonegate/gateway-ca.pem',
  },
  apple: {
    identifier: 'net.example.gw.zonegate',
    visibleName: 'Example gateway',
    identity: {
      kind: 'acme',
      payload: { DirectoryURL: 'https://ca.example.net/directory' },
      isSecret: false,
    },
    uuidOf: uuid5,
  },
};
