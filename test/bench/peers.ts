// The proxies people would pick instead, set up to do the same work; `peers/README.md` says what each can do.

import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, findProgram, type Site } from './contender.ts';

const folder = join(import.meta.dirname, 'peers');

export const peers: readonly Contender[] = [
  {
    ...program('squid', 'squid', 'apt-get install squid-openssl'),
    unable: [],
    async prepare(site) {
      const conf = await fill('squid.conf', site);
      return ['squid', '--foreground', '-f', conf];
    },
  },
  {
    ...program('apache', 'apache2', 'apt-get install apache2'),
    unable: [],
    async prepare(site) {
      const conf = await fill('apache.conf', site);
      return ['apache2', '-f', conf, '-DFOREGROUND'];
    },
  },
  {
    ...program('trafficserver', 'traffic_server', 'apt-get install trafficserver'),
    // It answers 400 to an absolute `http://` request on a TLS port.
    unable: ['forward'],
    async prepare(site) {
      const root = await prepareTrafficServer(site);
      return ['traffic_server', `--run-root=${root}`];
    },
  },
  {
    ...program('smokescreen', 'smokescreen', 'see test/bench/peers/README.md'),
    unable: [],
    async prepare(site) {
      const acl = await fill('smokescreen-acl.yaml', site);
      const bundle = join(site.folder, 'bundle.pem');
      const parts = ['server.pem', 'server.key'].map((name) => readFile(join(site.certs, name)));
      await writeFile(bundle, Buffer.concat(await Promise.all(parts)), { mode: 0o600 });
      const listen = ['--listen-ip', '127.0.0.1', '--listen-port', String(site.port)];
      const tls = ['--tls-server-bundle-file', bundle];
      const devices = ['--tls-client-ca-file', join(site.certs, 'ca.pem')];
      const open = ['--egress-acl-file', acl, '--allow-range', '127.0.0.0/8'];
      return ['smokescreen', ...listen, ...tls, ...devices, ...open];
    },
  },
  {
    name: 'naive-node',
    unable: [],
    missing: () => null,
    prepare: ({ port, certs }) =>
      Promise.resolve([process.execPath, join(folder, 'naive-node.mjs'), String(port), certs]),
  },
  {
    name: 'proxy-chain',
    unable: [],
    missing: () =>
      existsSync(join(folder, 'proxy-chain/node_modules/proxy-chain'))
        ? null
        : 'npm install --ignore-scripts --prefix test/bench/peers/proxy-chain',
    prepare: ({ port, certs }) => {
      const script = join(folder, 'proxy-chain/server.mjs');
      return Promise.resolve([process.execPath, script, String(port), certs]);
    },
  },
];

function program(name: string, executable: string, install: string) {
  return { name, missing: () => (findProgram(executable) === null ? install : null) };
}

/** Puts the settings into a template; returns the path of the result. */
async function fill(name: string, site: Site): Promise<string> {
  const values: Readonly<Record<string, string>> = {
    PORT: String(site.port),
    CERTS: site.certs,
    RUN: site.folder,
  };
  const template = await readFile(join(folder, `${name}.in`), 'utf8');
  const path = join(site.folder, name);
  const text = template.replace(/@([A-Z]+)@/g, (whole, key: string) => values[key] ?? whole);
  await writeFile(path, text);
  return path;
}

/** Traffic Server takes no single file: it wants a tree of folders and a map of it. */
async function prepareTrafficServer(site: Site): Promise<string> {
  const at = (name: string) => join(site.folder, name);
  for (const name of ['etc', 'data', 'run', 'log', 'cache']) await mkdir(at(name));
  await cp('/etc/trafficserver/body_factory', at('etc/body_factory'), { recursive: true });
  await copyFile('/etc/trafficserver/ip_allow.yaml', at('etc/ip_allow.yaml'));
  await copyFile(await fill('trafficserver-records.config', site), at('etc/records.config'));
  const certificate = 'dest_ip=* ssl_cert_name=server.pem ssl_key_name=server.key\n';
  await writeFile(at('etc/ssl_multicert.config'), certificate);
  for (const name of ['remap', 'plugin', 'storage']) await writeFile(at(`etc/${name}.config`), '');
  const map = {
    prefix: '/usr',
    exec_prefix: '/usr',
    bindir: '/usr/bin',
    sbindir: '/usr/bin',
    sysconfdir: at('etc'),
    datadir: at('data'),
    includedir: '/usr/include',
    libdir: '/usr/lib/trafficserver',
    libexecdir: '/usr/lib/trafficserver/modules',
    localstatedir: at('run'),
    runtimedir: at('run'),
    logdir: at('log'),
    cachedir: at('cache'),
  };
  const lines = Object.entries(map).map(([key, value]) => `${key}: ${value}\n`);
  await writeFile(at('runroot.yaml'), lines.join(''));
  return at('runroot.yaml');
}
