// The OpenID provider: authorization code with PKCE and rotated refresh tokens, every one of them behind the gate.
import type { EventEmitter } from 'node:events';
import type {
  AdapterFactory,
  ClientMetadata,
  Configuration,
  KoaContextWithOIDC,
} from 'oidc-provider';
import { AccessDenied, InvalidGrant } from 'oidc-provider/lib/helpers/errors.js';
import { base, Check } from 'oidc-provider/lib/helpers/interaction_policy/index.js';
import { Provider } from 'oidc-provider/lib/provider.js';
import type { Log } from '../../runtime/log.ts';
import type { Store } from '../state/store.ts';
import { type Account, type Accounts, personOf } from './accounts.ts';
import { describeDenial } from './denial.ts';
import type { Gate, Judged } from './gate.ts';
import type { KeySet } from './keys.ts';
import { errorPage, signedOutPage, signOutPage } from './pages.ts';
import type { ReadFacts } from './request-facts.ts';
import type { Moment } from './telemetry.ts';

// The reason of the check that the gate adds to the login prompt.
export const POLICY_CHECK = 'sign_on_policy';

export interface Client {
  readonly id: string;
  readonly name: string | null;
  readonly secret: string | null; // null: a public client, known by its redirect URIs and PKCE only
  readonly redirectUris: readonly string[];
  readonly postLogoutRedirectUris: readonly string[];
}

export interface ProviderOptions {
  readonly issuer: string;
  readonly clients: readonly Client[];
  readonly keys: KeySet;
  readonly cookieSecrets: readonly string[];
  readonly accessTokenTtlMs: number;
  readonly refreshTokenTtlMs: number;
  readonly sessionTtlMs: number;
  readonly accounts: Accounts;
  readonly gate: Gate;
  readonly facts: ReadFacts;
  readonly store: Store;
  readonly log: Log;
}

export function createProvider(options: ProviderOptions): Provider {
  const { accounts, gate, keys, log } = options;

  // For a code and a refresh token alike: thrown before either is spent, so both still work inside the zone. It is the
  // address of the token request that counts: an application that asks from a server of its own needs a rule with a
  // zone that holds the server.
  function admit(ctx: KoaContextWithOIDC, at: Moment, accountId: string | undefined): void {
    const judged = judge(ctx, accountId);
    if (judged === null) throw new InvalidGrant('unknown account or client');
    judged.record(at);
    if (judged.decision.action === 'allow') return;
    const error = new InvalidGrant(judged.decision.reason);
    error.error_description = describeDenial(judged.decision, judged.from.id);
    throw error;
  }

  function judge(ctx: KoaContextWithOIDC, accountId: string | undefined): Judged | null {
    const account = accounts.find(accountId ?? '');
    const client = ctx.oidc.client?.clientId;
    return account === null || client === undefined
      ? null
      : gate(ctx.req, personOf(account), client);
  }

  // Runs when an authorization request arrives and again when a sign-in comes back, so a session that is still open
  // says nothing about where the person is now.
  const policyCheck = new Check(
    POLICY_CHECK,
    'sign-on is denied by policy',
    'access_denied',
    (ctx) => {
      const accountId = ctx.oidc.session?.accountId;
      if (accountId === undefined) return Check.NO_NEED_TO_PROMPT;
      const judged = judge(ctx, accountId);
      if (judged === null) return Check.REQUEST_PROMPT; // gone from the directory since
      // A sign-in just made has been recorded with its password.
      const isRecorded = ctx.oidc.result?.login !== undefined;
      if (judged.decision.action === 'deny' || !isRecorded) judged.record('authorization');
      if (judged.decision.action === 'allow') return Check.NO_NEED_TO_PROMPT;
      // Nobody is there to read a page.
      if (ctx.oidc.promptPending('none')) {
        throw new AccessDenied(describeDenial(judged.decision, judged.from.id));
      }
      return Check.REQUEST_PROMPT;
    },
  );

  const adapter: AdapterFactory = options.store.adapters({
    request: () => Provider.ctx,
    // A code is bound to the zone like a refresh token; the provider has no other hook before it spends one.
    beforeConsume(kind, { accountId }) {
      if (kind === 'AuthorizationCode' && Provider.ctx) admit(Provider.ctx, 'code', accountId);
    },
    alreadyConsumed: () => new InvalidGrant('already used'),
  });

  const provider = new Provider(options.issuer, {
    ...protocol(keys),
    ...lifetimes(options),
    ...answers(options.facts),
    adapter,
    jwks: keys,
    clients: options.clients.map((client) => metadata(client)),
    cookies: cookies(options.cookieSecrets),
    findAccount: (_ctx, name) => claimsOf(accounts.find(name)),
    interactions: {
      policy: withCheck(policyCheck),
      url: (_ctx, { uid }) => `/interaction/${uid}`,
    },
    loadExistingGrant,
    // Reuse has been looked for by now, and nothing is spent yet.
    rotateRefreshToken(ctx) {
      admit(ctx, 'refresh', ctx.oidc.refreshToken?.accountId);
      return true;
    },
  });
  const events: EventEmitter = provider; // its own type does not know the event of the framework below it
  events.on('error', (error) => log.error({ err: error }, 'provider failed'));
  provider.on('server_error', (ctx, error) => {
    log.error({ err: error, 'zonegate.id': options.facts(ctx.req).id }, 'provider failed');
  });
  provider.on('grant.error', (ctx, error) => {
    const client = ctx.oidc.client?.clientId ?? null;
    const why = { error: error.error, detail: error.error_detail };
    log.info({ ...why, 'zonegate.client': client }, 'token request refused');
  });
  return provider;
}

// Code and PKCE with S256 (the only method this provider knows), and nothing that is not needed for them.
function protocol(keys: KeySet): Configuration {
  const algorithms = [...new Set(keys.keys.map((key) => key.alg))];
  return {
    responseTypes: ['code'],
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'], email: ['email'], profile: ['name'], groups: ['groups'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    clientDefaults: { id_token_signed_response_alg: algorithms[0] ?? 'RS256' },
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    allowOmittingSingleRegisteredRedirectUri: false,
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = signOutPage(form);
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.body = signedOutPage();
        },
      },
    },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    clientBasedCORS: (_ctx, origin, client) =>
      client.clientAuthMethod === 'none' &&
      (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
  };
}

function lifetimes(options: ProviderOptions): Configuration {
  const seconds = (ms: number) => Math.max(1, Math.round(ms / 1000));
  const session = seconds(options.sessionTtlMs);
  const refresh = seconds(options.refreshTokenTtlMs);
  return {
    ttl: {
      AccessToken: seconds(options.accessTokenTtlMs),
      AuthorizationCode: 60,
      Grant: Math.max(session, refresh),
      IdToken: seconds(options.accessTokenTtlMs),
      Interaction: 15 * 60,
      RefreshToken: refresh,
      Session: session,
    },
  };
}

function answers(facts: ReadFacts): Configuration {
  return {
    renderError(ctx, { error, error_description }) {
      ctx.type = 'html';
      ctx.body = errorPage({
        title: 'This sign-in did not work',
        message: error_description ?? 'Go back to the application and start again.',
        code: error,
        id: facts(ctx.req).id,
      });
    },
  };
}

function withCheck(check: Check) {
  const policy = base();
  policy.get('login')?.checks.add(check);
  return policy;
}

// The applications are the company's own: nobody is asked whether they may know who signs in.
async function loadExistingGrant(ctx: KoaContextWithOIDC) {
  const { client, session, account, provider } = ctx.oidc;
  if (client === undefined || account === undefined) return undefined;
  const known = await provider.Grant.find(session?.grantIdFor(client.clientId) ?? '');
  const grant =
    known?.accountId === account.accountId
      ? known
      : new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  grant.addOIDCScope('openid email profile groups offline_access');
  await grant.save();
  return grant;
}

function claimsOf(account: Account | null) {
  if (account === null) return undefined;
  const { name, groups, email } = account;
  const claims = { sub: name, name, groups: [...groups], ...(email !== null && { email }) };
  return { accountId: name, claims: () => claims };
}

function metadata(client: Client): ClientMetadata {
  const web = client.redirectUris.every((uri) => uri.startsWith('https:'));
  return {
    client_id: client.id,
    client_name: client.name ?? client.id,
    ...(client.secret !== null && { client_secret: client.secret }),
    token_endpoint_auth_method: client.secret === null ? 'none' : 'client_secret_basic',
    application_type: web ? 'web' : 'native',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [...client.redirectUris],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
  };
}

// The prefixes make browsers hold us to it: sent over TLS, set by this host alone (RFC 6265bis 4.1.3).
function cookies(secrets: readonly string[]): NonNullable<Configuration['cookies']> {
  return {
    names: {
      session: '__Host-zonegate',
      interaction: '__Secure-zonegate-interaction',
      resume: '__Secure-zonegate-resume',
    },
    keys: secrets,
    long: { httpOnly: true, sameSite: 'lax', secure: true, signed: true },
    short: { httpOnly: true, sameSite: 'lax', secure: true, signed: true },
  };
}
