// Browsers and applications that come to a sign-in service on a loopback port, from chosen addresses.
import * as oidc from 'openid-client';
import { Agent, buildConnector, fetch, type RequestInit, type Response, request } from 'undici';

export const ISSUER = 'https://idp.example.test';
export const REDIRECT_URI = 'https://app.example.test/callback';

export interface Clients {
  /** With the cookies of another, if it is told: the same browser, another service on the same address. */
  browser(localAddress: string, known?: Browser): Browser;
  application(localAddress: string, clientId?: string): Promise<oidc.Configuration>;
  send(localAddress: string, path: string, given?: Sent): Promise<Answer>;
  close(): Promise<void>;
}

interface Sent {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export function createClients(port: number, ca: string): Clients {
  const agents = new Map<string, Agent>();
  const agentOf = (localAddress: string) => {
    const agent = agents.get(localAddress) ?? createAgent(port, localAddress, ca);
    agents.set(localAddress, agent);
    return agent;
  };
  const sendFrom =
    (localAddress: string) =>
    (url: string, init: RequestInit = {}) =>
      fetch(url, { redirect: 'manual', ...init, dispatcher: agentOf(localAddress) });
  return {
    browser: (localAddress, known) => createBrowser(sendFrom, localAddress, known?.jar),
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
    close: async () => void (await Promise.all([...agents.values()].map((one) => one.destroy()))),
  };
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
type Jar = Map<string, { readonly path: string; readonly text: string }>;

export interface Browser {
  open(url: string, given?: Sent): Promise<Visited>;
  submit(page: Visited, user: string, password: string): Promise<Visited>;
  readonly jar: Jar;
  from(localAddress: string): void; // the tunnel goes up or down; the cookies stay
}

type SendFrom = (localAddress: string) => (url: string, init?: RequestInit) => Promise<Response>;

function createBrowser(sendFrom: SendFrom, firstAddress: string, jar: Jar = new Map()): Browser {
  let localAddress = firstAddress;

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
    jar,
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
