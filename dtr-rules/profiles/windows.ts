// Owns the proxy settings of Windows itself. They know no TLS to a proxy, so they lead to the agent on the device.

import { type Draft, type Making, ProfileError, remark } from './draft.ts';
import { pacText, pacType, waysInPac } from './pac.ts';
import { escapeXml } from './plist.ts';
import { formatEndpoint } from './profile.ts';

export function makeWindows({ plan, set, facts, runPac }: Making): Draft {
  if (facts.agent === null) {
    throw new ProfileError(
      'the proxy settings of Windows know no TLS to a proxy, so they need an agent on the device: set `profiles.agent`, or use the kinds for browsers',
    );
  }
  const agent = formatEndpoint(facts.agent);
  const proxy = `PROXY ${agent}`;
  const pac = pacText(plan, proxy, set.name);
  const pacUrl = `http://${agent}/zonegate.pac`;
  return {
    files: [
      { name: 'zonegate.pac', contentType: pacType, content: pac },
      { name: 'networkproxy.xml', contentType: 'application/xml', content: syncMl(pacUrl) },
      { name: 'zonegate-proxy.cmd', contentType: 'text/plain', content: commands(pacUrl) },
    ],
    notes: [
      remark(
        'TLS and the device certificate',
        `they are the agent's part: it has to listen on ${agent} and serve the PAC file as /zonegate.pac`,
      ),
      remark(
        'programs that ask neither WinHTTP nor WinINET for the proxy, and VPN connections',
        'they go direct',
      ),
      remark(
        'that there is no way round the PAC file',
        'Windows goes direct when it cannot fetch the PAC file: the agent has to run',
      ),
    ],
    waysIn: waysInPac(runPac(pac), proxy),
  };
}

const settings = (pacUrl: string) => [
  ['ProxySettingsPerUser', 'int', '0'],
  ['AutoDetect', 'int', '0'],
  ['SetupScriptUrl', 'chr', pacUrl],
];

/** For the NetworkProxy CSP of an MDM. */
function syncMl(pacUrl: string): string {
  const items = settings(pacUrl).map(
    ([name = '', format = '', value = ''], index) => `    <Replace>
      <CmdID>${index + 1}</CmdID>
      <Item>
        <Target><LocURI>./Vendor/MSFT/NetworkProxy/${name}</LocURI></Target>
        <Meta><Format xmlns="syncml:metinf">${format}</Format></Meta>
        <Data>${escapeXml(value)}</Data>
      </Item>
    </Replace>
`,
  );
  return `<SyncML xmlns="SYNCML:SYNCML1.2">\n  <SyncBody>\n${items.join('')}    <Final/>\n  </SyncBody>\n</SyncML>\n`;
}

/** The same by hand, from an elevated prompt: for the machine, and for WinHTTP. */
function commands(pacUrl: string): string {
  const policies =
    'HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\CurrentVersion\\Internet Settings';
  const inet = 'HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings';
  const json = JSON.stringify({ AutoConfigUrl: pacUrl, AutoDetect: false }).replaceAll('"', '\\"');
  return [
    `reg add "${policies}" /v ProxySettingsPerUser /t REG_DWORD /d 0 /f`,
    `reg add "${inet}" /v AutoConfigURL /t REG_SZ /d "${pacUrl}" /f`,
    `netsh winhttp set advproxy setting-scope=machine settings="${json}"`,
    '',
  ].join('\r\n');
}
