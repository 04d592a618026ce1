// A running sign-in service on a free loopback port, and browsers and applications that come from chosen addresses.
import { generateKeyPairSync, scryptSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as oidc from 'openid-client';
import { Agent, buildConnector, fetch, type RequestInit, type Response, request } from 'undici';
import { idpSection, parseSignOn, parseZones } from '../../idp-zone/config/parse.ts';
import type { Locate } from '../../idp-zone/decision/place.ts';
import { createIdpZone, type IdpPolicy, type IdpZone } from '../../idp-zone/idp-zone.ts';
import { createAuthority } from '../../runtime/authority.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { createReadiness } from '../../runtime/readiness.ts';

export const ISSUER = 'https://idp.example.test';
export const REDIRECT_URI = 'https://app.example.test/callback';
export const INSIDE = '127.0.0.10'; // the zone's gateway
export const OUTSIDE = '127.0.0.1';
export const PASSWORD = 'correct horse battery staple';
export const HELP = 'https://help.example.test/tunnel';

export const ZONES = { zones: [{ name: 'egress', gateways: [INSIDE] }] };
export const SIGN_ON = {
  rules: [
    {
      name: 'staff through the tunnel',
      people: { groups: ['staff'] },
      network: { zones: ['egress'] },
      access: 'ALLOW',
    },
    { name: 'everyone else', access: 'DENY', message: 'Only through the tunnel.', help: HELP },
  ],
};

export interface Running {
  readonly idp: IdpZone;
  readonly metrics: Metrics;
  readonly logged: readonly Record<string, unknown>[];
  browser(localAddress: string): Browser;
  application(localAddress: string, clientId?: string): Promise<oidc.Configuration>;
  send(localAddress: string, path: string, given?: Sent): Promise<Answer>;
  readonly ca: string;
  readonly folder: string;
  issueCertificate(): Promise<string>; // over the old files; returns the serial number
  close(): Promise<void>;
}

interface Sent {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export function policyOf(
  zonesFile: unknown,
  signOnFile: unknown,
  locate: Locate | null = null,
): IdpPolicy {
  const zones = parseZones(zonesFile);
  const signOn = parseSignOn(signOnFile);
  if (!zones.ok || !signOn.ok) throw new Error('the policy of this test cannot be read');
  return { zones: zones.value.zones, locate, signOn: signOn.value.policy };
}

export async function startIdpZone(
  given: { readonly zones?: unknown; readonly config?: object } = {},
): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-idp-'));
  const authority = await createAuthority({ name: 'test', days: 1 });
  const issueCertificate = async () => {
    const { certificatePem, keyPem, serial } = await authority.issue({
      commonName: 'idp.example.test',
      sans: { dns: ['idp.example.test'] },
      usage: 'server',
      days: 1,
    });
    await writeFile(join(folder, 'tls.pem'), certificatePem);
    await writeFile(join(folder, 'tls.key'), keyPem);
    return serial;
  };
  await issueCertificate();
  await writeFile(join(folder, 'keys.json'), signingKeys(), { mode: 0o600 });

  const logged: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void logged.push(JSON.parse(line)) };
  const metrics = createMetrics();
  const idp = await createIdpZone({
    config: idpSection.parse({ ...baseConfig(), ...given.config }),
    folder,
    policy: policyOf(given.zones ?? ZONES, SIGN_ON),
    log: createLog({ level: 'debug', secrets: [], stream }),
    metrics,
    readiness: createReadiness(),
  });

  const agents = new Map<string, Agent>();
  const agentOf = (localAddress: string) => {
    const agent =
      agents.get(localAddress) ?? createAgent(idp.port, localAddress, authority.certificatePem);
    agents.set(localAddress, agent);
    return agent;
  };
  const sendFrom =
    (localAddress: string) =>
    (url: string, init: RequestInit = {}) =>
      fetch(url, { redirect: 'manual', ...init, dispatcher: agentOf(localAddress) });
  return {
    idp,
    metrics,
    logged,
    ca: authority.certificatePem,
    folder,
    issueCertificate,
    browser: (localAddress) => createBrowser(sendFrom, localAddress),
    // Below what a browser does: any field may be sent, and nothing is followed.
    async send(localAddress, path, given = {}) {
      const dispatcher = agentOf(localAddress);
      const response = await request(`${ISSUER}${path}`, { method: 'GET', ...given, dispatcher });
      return {
        status: response.statusCode,
        headers: response.headers,
        text: await response.body.text(),
      };
    },
    application: (localAddress, clientId = 'demo-app') => {
      // The two libraries declare one web API twice.
      const customFetch = sendFrom(localAddress) as unknown as oidc.CustomFetch;
      const options = { [oidc.customFetch]: customFetch };
      return oidc.discovery(new URL(ISSUER), clientId, undefined, oidc.None(), options);
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      await idp.close();
      await rm(folder, { recursive: true });
    },
  };
}

function baseConfig() {
  const password = passwordHash();
  return {
    listen: '127.0.0.1:0',
    issuer: ISSUER,
    tls: { certificate: 'tls.pem', key: 'tls.key' },
    users: [
      { name: 'ann', password, groups: ['staff'], email: 'ann@example.test' },
      { name: 'eve', password },
    ],
    clients: [
      { id: 'demo-app', name: 'Demo <App>', public: true, redirectUris: [REDIRECT_URI] },
      { id: 'phone', public: true, redirectUris: ['com.example.phone:/callback'] },
    ],
    keysFile: 'keys.json',
    cookieSecret: 'a cookie secret of thirty-two characters',
  };
}

function signingKeys(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' };
  return JSON.stringify({ keys: [key] });
}

// As costly as a test can afford.
function passwordHash(): string {
  const salt = Buffer.alloc(16, 7);
  const hash = scryptSync(PASSWORD, salt, 32, { cost: 1024, blockSize: 8, parallelization: 1 });
  return `scrypt$1024$8$1$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

function createAgent(port: number, localAddress: string, ca: string): Agent {
  const connect = buildConnector({ ca, allowH2: false });
  return new Agent({
    connect: (options, callback) =>
      connect(
        {
          ...options,
          hostname: '127.0.0.1',
          port: String(port),
          servername: 'idp.example.test',
          localAddress,
        },
        callback,
      ),
  });
}

export interface Visited {
  readonly status: number;
  readonly url: string; // of a redirect away from the issuer: where to, not followed
  readonly text: string;
  readonly headers: Response['headers'];
}

// As much of a browser as signing in needs: cookies by path, and following redirects within the issuer.
export interface Browser {
  open(url: string, given?: Sent): Promise<Visited>;
  submit(page: Visited, user: string, password: string): Promise<Visited>;
  from(localAddress: string): void; // the tunnel goes up or down; the cookies stay
}

type SendFrom = (localAddress: string) => (url: string, init?: RequestInit) => Promise<Response>;

function createBrowser(sendFrom: SendFrom, firstAddress: string): Browser {
  let localAddress = firstAddress;
  const jar = new Map<string, { readonly path: string; readonly text: string }>();

  function keep(response: Response): void {
    for (const cookie of response.headers.getSetCookie()) {
      const [text = '', ...attributes] = cookie.split('; ');
      const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice(5) ?? '/';
      const key = `${text.split('=', 1)[0]} ${path}`;
      if (cookie.includes('1970')) jar.delete(key);
      else jar.set(key, { path, text });
    }
  }

  async function open(url: string, given: Sent = {}): Promise<Visited> {
    const { pathname } = new URL(url);
    const cookies = [...jar.values()].filter(({ path }) => pathname.startsWith(path));
    const headers = {
      accept: 'text/html',
      ...given.headers,
      cookie: cookies.map(({ text }) => text).join('; '),
    };
    const response = await sendFrom(localAddress)(url, { ...given, headers });
    keep(response);
    const text = await response.text();
    const location = response.headers.get('location');
    if (location === null) return { status: response.status, url, text, headers: response.headers };
    const next = new URL(location, url).href;
    if (next.startsWith(`${ISSUER}/`)) return await open(next);
    return { status: response.status, url: next, text, headers: response.headers };
  }

  return {
    open,
    async submit(page, user, password) {
      const body = new URLSearchParams({ user, password }).toString();
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return await open(page.url, { method: 'POST', body, headers });
    },
    from(next) {
      localAddress = next;
    },
  };
}

// What an application asks for, and what it needs to understand the answer.
export async function authorizationRequest(
  application: oidc.Configuration,
  more: Readonly<Record<string, string>> = {},
) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const url = oidc.buildAuthorizationUrl(application, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid email groups',
    state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  });
  return { url: url.href, checks: { pkceCodeVerifier, expectedState } };
}
