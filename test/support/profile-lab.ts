// A gateway, a site that tells who came to it, and the profiles made for them: what a real client is started with.

import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { createAuthority } from '../../runtime/authority.ts';
import { type RunningGateway, startGateway } from './gateway.ts';
import { run, zonegate } from './program.ts';

/** What came to the site: under which name, and from where. */
export interface Visit {
  readonly host: string;
  readonly from: string;
}

export interface ProfileLab extends AsyncDisposable {
  readonly gateway: RunningGateway;
  readonly folder: string;
  /** The device's certificate and key, in files. */
  readonly files: {
    readonly certificate: string;
    readonly key: string;
    readonly authority: string;
  };
  /** PEM of who issued the site's certificate. */
  readonly siteAuthority: string;
  readonly visits: readonly Visit[];
  /** The page of a name; it can show pictures from other names. */
  url(name: string, pictures?: readonly string[]): string;
  /** `zonegate profile KIND`, into a folder or file below that of the lab. */
  profile(kind: string, out: string, failMode?: 'closed' | 'open'): Promise<string>;
  /** The decision in the gateway's log about the name. */
  decision(name: string): Promise<Readonly<Record<string, unknown>>>;
  /** What was decided about the name so far. */
  decided(name: string): readonly unknown[];
}

const names = ['up', 'direct', 'blocked'].map((name) => `${name}.lab.test`);

export async function startProfileLab(settings: object = {}): Promise<ProfileLab> {
  await using stack = new AsyncDisposableStack();
  const site = await startSite();
  stack.defer(() => site.close());
  const gateway = stack.use(
    await startGateway({
      rules: [
        { id: 'blocked', action: 'BLOCK', destinations: ['blocked.lab.test'] },
        { id: 'direct', action: 'BYPASS', destinations: ['.direct.lab.test'] },
      ],
      settings: {
        dns: { hosts: Object.fromEntries(names.map((name) => [name, ['127.0.0.1']])) },
        ...settings,
      },
    }),
  );
  const { folder } = gateway;
  const device = gateway.device('good');
  const files = {
    certificate: join(folder, 'device.pem'),
    key: join(folder, 'device-key.pem'),
    authority: join(folder, 'server-ca.pem'),
  };
  await writeFile(files.certificate, device.cert);
  await writeFile(files.key, device.key);
  await writeFile(files.authority, gateway.serverAuthority);
  const profiles = {
    gateway: `127.0.0.1:${gateway.port}`,
    issuer: 'Test device CA',
    authority: 'server-ca.pem',
    deviceFiles: files,
  };
  const all = parseDocument(await readFile(join(folder, 'zonegate.yaml'), 'utf8'));
  for (const [key, value] of Object.entries(profiles)) all.setIn(['profiles', key], value);
  const configs = {
    closed: join(folder, 'with-profiles.yaml'),
    open: join(folder, 'with-open-profiles.yaml'),
  };
  for (const [failMode, config] of Object.entries(configs)) {
    all.setIn(['profiles', 'failMode'], failMode);
    await writeFile(config, String(all));
  }
  const isAbout = (name: string) => (line: Readonly<Record<string, unknown>>) =>
    line['event.name'] === 'zonegate.admit' && line['server.address'] === name;
  const owned = stack.move();
  return {
    gateway,
    folder,
    files,
    siteAuthority: site.authority,
    visits: site.visits,
    url: (name, pictures = []) =>
      `https://${name}.lab.test:${site.port}/${pictures.length === 0 ? '' : `?${pictures.join()}`}`,
    async profile(kind, out, failMode = 'closed') {
      const path = join(folder, out);
      const made = await zonegate('profile', kind, '--config', configs[failMode], '--out', path);
      if (made.code !== 0) throw new Error(made.stderr);
      return path;
    },
    decision: (name) => gateway.line(isAbout(`${name}.lab.test`), `a decision about ${name}`),
    decided: (name) => gateway.logged.filter(isAbout(`${name}.lab.test`)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startSite() {
  const authority = await createAuthority({ name: 'Test site CA', days: 1 });
  const issued = await authority.issue({
    commonName: 'site',
    sans: { dns: names },
    usage: 'server',
    days: 1,
  });
  const visits: Visit[] = [];
  const server = https.createServer(
    { cert: issued.chainPem, key: issued.keyPem },
    (request, response) => {
      const from = request.socket.remoteAddress ?? '';
      const [host = ''] = (request.headers.host ?? '').split(':');
      const { port, pathname, search } = new URL(
        request.url ?? '',
        `https://${request.headers.host}`,
      );
      // Browsers ask for an icon too.
      if (pathname === '/') visits.push({ host, from });
      const pictures = search === '' ? [] : search.slice(1).split(',');
      const tags = pictures.map((name) => `<img src="https://${name}.lab.test:${port}/">`);
      response.setHeader('content-type', 'text/html').end(`came from ${from}${tags.join('')}`);
    },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    visits,
    authority: authority.certificatePem,
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The certificate store of a browser: the device's certificate and key, and whom to trust about sites. */
export async function fillStore(
  folder: string,
  { files, siteAuthority }: ProfileLab,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bundle = join(folder, 'device.p12');
  const site = join(folder, 'site-ca.pem');
  await writeFile(site, siteAuthority);
  const { certificate, key } = files;
  for (const [command, ...args] of [
    [
      'openssl',
      'pkcs12',
      '-export',
      '-in',
      certificate,
      '-inkey',
      key,
      '-out',
      bundle,
      '-passout',
      'pass:',
    ],
    ['certutil', '-N', '--empty-password', '-d', `sql:${folder}`],
    ['pk12util', '-i', bundle, '-d', `sql:${folder}`, '-W', ''],
    ['certutil', '-A', '-n', 'site', '-t', 'C,,', '-i', site, '-d', `sql:${folder}`],
  ] as const) {
    const { code, stderr } = await run(command, args);
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
  }
}
