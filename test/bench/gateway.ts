// The gateway under measurement: a whole one with a real configuration, started as an operator starts it.

import { X509Certificate } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, freePort, type Site } from './contender.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');

export const gateway: Contender = {
  name: 'gateway',
  unable: [],
  missing: () => null,
  async prepare(site) {
    const admin = await freePort();
    const files = {
      'zonegate.yaml': configuration(site, admin),
      'devices.yaml': { devices: await devices(site.certs) },
      'dtr.yaml': rules(site.origin),
    };
    // JSON is YAML too.
    for (const [name, value] of Object.entries(files))
      await writeFile(join(site.folder, name), JSON.stringify(value, null, 2));
    return [process.execPath, main, 'serve', '--config', join(site.folder, 'zonegate.yaml')];
  },
};

/** Everything is on that is on in production: identity, posture, rules, egress, log and metrics. */
function configuration({ port, certs }: Site, admin: number) {
  const certificate = (name: string) => join(certs, name);
  return {
    name: 'gw',
    listeners: { device: `127.0.0.1:${port}` },
    tls: { certificate: certificate('server.pem'), key: certificate('server.key') },
    identity: {
      authorities: [certificate('ca.pem')],
      // The load generator's authority publishes no list, and no peer is given one.
      revocation: 'off',
      deviceId: { altName: 'uri', pattern: 'urn:uuid:*' },
    },
    posture: { source: { kind: 'inventory', file: 'devices.yaml' } },
    rules: 'dtr.yaml',
    egress: { default: 'main', pools: { main: ['127.0.0.10'] } },
    admin: { listen: `127.0.0.1:${admin}` },
    // A few certificates stand for many devices.
    limits: {
      tunnelsPerDevice: 50_000,
      // Eight certificates do here what thousands do in a company.
      newTunnelsPerDevice: 1_000_000,
      handshakesPerCertificate: 1_000_000,
      connectionsPerSource: 1_000_000,
    },
  };
}

/** Every client of the load generator is a healthy device. */
async function devices(certs: string) {
  const names = (await readdir(certs)).filter((name) => /^client-\d+\.pem$/.test(name));
  return await Promise.all(
    names.map(async (name) => ({
      udid: udidOf(new X509Certificate(await readFile(join(certs, name)))),
      platform: 'macos',
      groups: ['staff'],
      enrolled: true,
      compliant: true,
      compromised: false,
    })),
  );
}

function udidOf({ subjectAltName }: X509Certificate): string {
  const udid = /^URI:urn:uuid:([\w-]+)$/.exec(subjectAltName ?? '')?.[1];
  if (udid === undefined) throw new Error('a client certificate without a UDID');
  return udid;
}

function rules(origin: string) {
  const [host = ''] = origin.split(':');
  const tunnel = (id: string, destinations: readonly string[]) => ({
    id,
    action: 'TUNNEL',
    destinations,
  });
  return {
    ruleSets: [
      {
        name: 'staff',
        assign: { platforms: ['ios', 'macos'], groups: ['staff'] },
        defaultAction: 'BYPASS',
        rules: [
          tunnel('okta', ['.acme.okta.com', '*.oktacdn.com']),
          tunnel('microsoft', ['login.microsoftonline.com', '*.msauth.net']),
          { id: 'forbidden', action: 'BLOCK', destinations: ['.gambling.example'] },
          // Loopback is out of bounds unless a rule opens it.
          { ...tunnel('origin', [origin]), open: [host] },
          { id: 'rest', action: 'BYPASS', destinations: ['*'] },
        ],
      },
    ],
    tests: [
      {
        name: 'the origin is tunnelled',
        platform: 'macos',
        groups: ['staff'],
        accept: [origin],
        deny: ['example.com:443'],
      },
    ],
  };
}
