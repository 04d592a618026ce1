// A person who signs in: openid-client for the application's part, a small browser for the person's.

import * as oidc from 'openid-client';
import { Agent, type Dispatcher, fetch, ProxyAgent, type RequestInit, type Response } from 'undici';
import type { World } from './world.ts';

const clientId = 'demo-app';
const redirectUri = 'http://127.0.0.1:9/callback';

/** Where the person's requests leave from: through the tunnel, or straight from this machine. */
export interface Route {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  close(): Promise<void>;
}

export async function throughTunnel(world: World, device: string): Promise<Route> {
  return routeOver(
    new ProxyAgent({
      uri: `https://localhost:${world.ports.device}`,
      proxyTls: {
        ca: world.serverAuthority,
        cert: await world.file(`devices/${device}.pem`),
        key: await world.file(`devices/${device}-key.pem`),
        // undici sends a field that HTTP/2 forbids to a proxy that offers it.
        allowH2: false,
      },
      requestTls: { ca: world.serverAuthority },
    }),
  );
}

export function direct(world: World): Route {
  return routeOver(
    new Agent({
      connect: {
        ca: world.serverAuthority,
        lookup: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
      },
    }),
  );
}

function routeOver(dispatcher: Dispatcher): Route {
  return {
    fetch: (url, init) => fetch(url, { ...init, dispatcher }),
    close: () => dispatcher.close(),
  };
}

export interface SignedIn {
  readonly ok: true;
  readonly subject: string;
  readonly refreshToken: string;
}

export interface DeniedPage {
  readonly ok: false;
  readonly status: number;
  readonly page: string;
}

/** Authorization code with PKCE (RFC 7636): the application asks, the person types, the code is exchanged. */
export async function signIn(
  world: World,
  route: Route,
  user: string,
): Promise<SignedIn | DeniedPage> {
  const config = await applicationOver(world, route);
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const start = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid offline_access',
    state,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const password = (await world.file('secrets/ann-password')).trim();
  const end = await browse(route, start.href, { user, password });
  if (!('redirect' in end)) return { ok: false, ...end };
  const tokens = await oidc.authorizationCodeGrant(config, new URL(end.redirect), {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  const subject = tokens.claims()?.sub ?? '';
  return { ok: true, subject, refreshToken: tokens.refresh_token ?? '' };
}

export type Refreshed =
  | { readonly ok: true; readonly refreshToken: string }
  | { readonly ok: false; readonly error: string; readonly description: string };

export async function refresh(world: World, route: Route, token: string): Promise<Refreshed> {
  const config = await applicationOver(world, route);
  try {
    const tokens = await oidc.refreshTokenGrant(config, token);
    return { ok: true, refreshToken: tokens.refresh_token ?? token };
  } catch (error) {
    if (!(error instanceof oidc.ResponseBodyError)) throw error;
    return { ok: false, error: error.error, description: error.error_description ?? '' };
  }
}

async function applicationOver(world: World, route: Route): Promise<oidc.Configuration> {
  const customFetch: oidc.CustomFetch = (url, init) =>
    route.fetch(url, init as RequestInit) as unknown as ReturnType<oidc.CustomFetch>;
  return await oidc.discovery(new URL(world.issuer), clientId, undefined, oidc.None(), {
    [oidc.customFetch]: customFetch,
  });
}

type Typed = Readonly<Record<string, string>>;

/** Follows redirects with a cookie jar, fills in the one form there is, and stops at the application
 *  or at a page without a form. */
async function browse(route: Route, start: string, typed: Typed) {
  const cookies = new Map<string, string>();
  let url = start;
  let body: URLSearchParams | null = null;
  for (let step = 0; step < 12; step += 1) {
    const headers: Record<string, string> = {
      accept: 'text/html',
      cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      ...(body === null ? {} : { origin: new URL(url).origin }),
    };
    const response: Response = await route.fetch(url, {
      method: body === null ? 'GET' : 'POST',
      headers,
      body,
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const page = await response.text();
    if (location !== null) {
      url = new URL(location, url).href;
      if (url.startsWith(redirectUri)) return { redirect: url };
      body = null;
      continue;
    }
    const form = body === null ? /<form method="post" action="([^"]+)"/.exec(page)?.[1] : undefined;
    if (form === undefined) return { status: response.status, page };
    url = new URL(form.replaceAll('&amp;', '&'), url).href;
    body = new URLSearchParams(typed);
  }
  throw new Error('the sign-in goes round in circles');
}
