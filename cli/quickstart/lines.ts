// What quickstart prints: where everything listens, and curl lines that work as printed.

import { basename, dirname } from 'node:path';
import { quickstartDevices } from './devices.ts';
import { idpHost, type Ports, quickstartEgress } from './templates.ts';

export interface LinesOptions {
  /** The state folder, as seen from the folder the lines are typed in. */
  readonly folder: string;
  readonly ports: Ports;
}

/** One thing to try; the test of the README runs each and looks for what it promises. */
export interface Line {
  readonly title: string;
  readonly command: string;
  /** What the output contains. */
  readonly shows: string;
}

export function linesOf({ folder: given, ports }: LinesOptions): readonly Line[] {
  const folder = quoted(given);
  const { device, idp, admin, uem } = ports;
  const issuer = `https://${idpHost}:${idp}`;
  const via = (name: string) =>
    `curl -sS -x https://127.0.0.1:${device} --proxy-cacert ${folder}/certs/server-ca.pem ` +
    `--proxy-cert ${folder}/devices/${name}.pem --proxy-key ${folder}/devices/${name}-key.pem`;
  const trust = `--cacert ${folder}/certs/server-ca.pem`;
  const udid = quickstartDevices[0]?.udid ?? '';
  const compliance = (state: string) =>
    `curl -sS -X POST http://127.0.0.1:${uem}/stand-in/devices/${udid} -H 'content-type: application/json' -d '{"compliance":"${state}"}'`;
  return [
    {
      title: 'A healthy device reaches the sign-in service through the tunnel',
      command: `${via('compliant')} ${trust} ${issuer}/.well-known/openid-configuration`,
      shows: `"issuer":"${issuer}"`,
    },
    {
      title: 'A device that is not compliant does not, and is told why',
      command: `${via('non-compliant')} http://${idpHost}:${idp}/`,
      shows: 'posture.non_compliant',
    },
    {
      title: 'Nor does one with a revoked certificate',
      command: `${via('revoked')} http://${idpHost}:${idp}/`,
      shows: 'identity.revoked',
    },
    {
      title: 'Nor one that the UEM does not know',
      command: `${via('unknown')} http://${idpHost}:${idp}/`,
      shows: 'posture.unknown_device',
    },
    {
      title: 'Nor one whose certificate comes from somebody else',
      command: `${via('foreign')} http://${idpHost}:${idp}/`,
      shows: 'identity.untrusted',
    },
    {
      title: 'What does not belong into the tunnel is sent back',
      command: `${via('compliant')} http://www.example.com/`,
      shows: 'rules.bypass',
    },
    {
      title: 'A tunnelled name cannot lead to cloud metadata',
      command: `${via('compliant')} http://metadata.lab.zonegate.test/latest/meta-data/`,
      shows: 'address.metadata',
    },
    {
      title:
        'The UEM reports the device as not compliant: open tunnels close, new ones are refused',
      command: compliance('NonCompliant'),
      shows: '"delivered":true',
    },
    { title: 'And back', command: compliance('Compliant'), shows: '"delivered":true' },
    {
      title: 'The egress addresses, for the zone of your IdP',
      command: `curl -sS -H "Authorization: Bearer $(cat ${folder}/secrets/admin-token)" http://127.0.0.1:${admin}/api/v1/egress`,
      shows: quickstartEgress,
    },
    {
      title: 'Metrics for Prometheus',
      command: `curl -sS http://127.0.0.1:${admin}/metrics`,
      shows: 'zonegate_refusals_total',
    },
  ];
}

/** The lines are short because they begin with a `cd`: they work wherever the other terminal is. */
export function linesToTry(state: string, ports: Ports): string {
  const home = dirname(state);
  const folder = basename(state);
  const head = [
    '',
    'Zonegate is running.',
    `  devices connect to     https://127.0.0.1:${ports.device}   (HTTPS proxy, client certificate)`,
    `  sign-in service        https://${idpHost}:${ports.idp}   (user ann, password in ${state}/secrets/ann-password)`,
    `  admin and metrics      http://127.0.0.1:${ports.admin}`,
    `  stand-in UEM           http://127.0.0.1:${ports.uem}`,
    `  configuration          ${state}/zonegate.yaml, dtr.yaml, zones.yaml, sign-on.yaml`,
    `  log                    ${state}/zonegate.log`,
    '',
    'Try, in another terminal:',
    '',
    `cd ${quoted(home)}`,
  ];
  const lines = linesOf({ folder, ports }).flatMap(({ title, command }) => [
    '',
    `# ${title}`,
    command,
  ]);
  return [...head, ...lines, '', 'Edit the rules while it runs; Ctrl-C stops it.', ''].join('\n');
}

/** For a shell, when it needs to be. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
