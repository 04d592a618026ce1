// What outlives the sign-in service: after kill -9 people are signed in and refresh tokens work, and what was spent is spent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as oidc from 'openid-client';
import { createAuthority } from '../../runtime/authority.ts';
import {
  authorizationRequest,
  type Clients,
  createClients,
  REDIRECT_URI,
} from '../idp-zone/clients.ts';
import { INSIDE, OUTSIDE, PASSWORD, passwordHash, SIGN_ON, ZONES } from '../idp-zone/running.ts';
import { type IdpFolder, makeIdpFolder } from '../support/idp-folder.ts';
import { createTestDatabase, postgres } from '../support/postgres.ts';
import { type RunningCommand, startZonegate } from '../support/program.ts';

const authority = await createAuthority({ name: 'test', days: 1 });
const ca = authority.certificatePem;
const { certificatePem, keyPem } = await authority.issue({
  commonName: 'idp.example.test',
  sans: { dns: ['idp.example.test'] },
  usage: 'server',
  days: 1,
});

const idp = `  issuer: https://idp.example.test
  users: [{ name: ann, password: "${passwordHash()}", groups: [staff] }]
  clients:
    - { id: demo-app, public: true, redirectUris: ["${REDIRECT_URI}"] }
`;
const files = {
  'idp.pem': certificatePem,
  'idp.key': keyPem,
  'zones.yaml': JSON.stringify(ZONES),
  'sign-on.yaml': JSON.stringify(SIGN_ON),
};

const makeFolder = (state: string): Promise<IdpFolder> => makeIdpFolder({ idp, files, state });

interface Serving extends AsyncDisposable {
  readonly clients: Clients;
  readonly command: RunningCommand;
}

async function serve({ config, port }: IdpFolder): Promise<Serving> {
  const command = startZonegate('serve', '--config', config);
  const clients = createClients(port, ca);
  const close = async () => {
    await clients.close();
    await command[Symbol.asyncDispose]();
  };
  try {
    await command.shows('"msg":"ready"');
  } catch (error) {
    await close();
    throw error;
  }
  return { clients, command, [Symbol.asyncDispose]: close };
}

async function kill({ command }: Serving): Promise<void> {
  command.stop('SIGKILL');
  await command.ended;
}

async function signIn({ clients }: Serving) {
  const application = await clients.application(INSIDE);
  const more = { scope: 'openid offline_access', prompt: 'consent' };
  const request = await authorizationRequest(application, more);
  const browser = clients.browser(INSIDE);
  const answer = await browser.submit(await browser.open(request.url), 'ann', PASSWORD);
  return { application, browser, request, answer: new URL(answer.url) };
}

async function signInForToken(serving: Serving): Promise<string> {
  const { application, request, answer } = await signIn(serving);
  const tokens = await oidc.authorizationCodeGrant(application, answer, request.checks);
  assert.ok(tokens.refresh_token);
  return tokens.refresh_token;
}

async function refused(attempt: Promise<unknown>): Promise<void> {
  await assert.rejects(attempt, { error: 'invalid_grant' });
}

async function refresh({ clients }: Serving, token: string, from = INSIDE): Promise<string> {
  const tokens = await oidc.refreshTokenGrant(await clients.application(from), token);
  return tokens.refresh_token ?? '';
}

test('after kill -9 the session is open, the refresh token works, a code begun before is exchanged', async () => {
  await using folder = await makeFolder('zonegate.db');
  let token: string;
  let begun: Awaited<ReturnType<typeof signIn>>;
  {
    await using first = await serve(folder);
    token = await signInForToken(first);
    begun = await signIn(first);
    await kill(first);
  }
  await using second = await serve(folder);
  const application = await second.clients.application(INSIDE);
  await oidc.authorizationCodeGrant(application, begun.answer, begun.request.checks);

  // No form is shown: the browser is still signed in.
  const again = await authorizationRequest(application);
  const { url } = await second.clients.browser(INSIDE, begun.browser).open(again.url);
  assert.match(url, /^https:\/\/app\.example\.test\/callback\?code=/);

  await refused(refresh(second, token, OUTSIDE));
  assert.notEqual(await refresh(second, token), token);
});

test('what was spent before kill -9 is spent after it, and its second use ends what it gave', async () => {
  await using folder = await makeFolder('zonegate.db');
  let spent: string;
  let next: string;
  let begun: Awaited<ReturnType<typeof signIn>>;
  let given: string;
  {
    await using first = await serve(folder);
    spent = await signInForToken(first);
    next = await refresh(first, spent);
    begun = await signIn(first);
    const { application, answer, request } = begun;
    const tokens = await oidc.authorizationCodeGrant(application, answer, request.checks);
    given = tokens.refresh_token ?? '';
    await kill(first);
  }
  await using second = await serve(folder);
  await refused(refresh(second, spent));
  await refused(refresh(second, next));
  const application = await second.clients.application(INSIDE);
  const { answer, request } = begun;
  await refused(oidc.authorizationCodeGrant(application, answer, request.checks));
  await refused(refresh(second, given));
});

test(
  'of two processes on one server one takes a token that both are given, and the grant is over',
  await postgres(),
  async () => {
    await using database = await createTestDatabase();
    await using folders = new AsyncDisposableStack();
    const start = async () => folders.use(await serve(folders.use(await makeFolder(database.url))));
    const [a, b] = [await start(), await start()];

    const token = await refresh(b, await signInForToken(a));
    const both = await Promise.allSettled([a, b, a, b].map((one) => refresh(one, token)));
    const taken = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.ok(taken.length <= 1, `${taken.length} refreshes with one token`);
    for (const one of [token, ...taken]) {
      await refused(refresh(a, one));
      await refused(refresh(b, one));
    }

    const { request, answer } = await signIn(a);
    const exchanges = [a, b, a, b].map(async ({ clients }) => {
      const application = await clients.application(INSIDE);
      return await oidc.authorizationCodeGrant(application, answer, request.checks);
    });
    const given = (await Promise.allSettled(exchanges)).flatMap((one) =>
      one.status === 'fulfilled' ? [one.value.refresh_token ?? ''] : [],
    );
    assert.ok(given.length <= 1, `${given.length} exchanges of one code`);
    for (const one of given) await refused(refresh(b, one));
  },
);

test('a client that asks for another challenge, redirect or verifier than it began with gets nothing', async () => {
  await using folder = await makeFolder('memory');
  await using serving = await serve(folder);
  const application = await serving.clients.application(INSIDE);
  const exchange = async (change: (body: URLSearchParams) => void) => {
    const { request, answer } = await signIn(serving);
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'demo-app',
      code: answer.searchParams.get('code') ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: request.checks.pkceCodeVerifier,
    });
    change(body);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const sent = { method: 'POST', headers, body: body.toString() } as const;
    const { status, text } = await serving.clients.send(INSIDE, '/token', sent);
    return { status, error: (JSON.parse(text) as { error?: string }).error };
  };
  const wrong = { status: 400, error: 'invalid_grant' };
  assert.deepEqual(await exchange((body) => body.delete('code_verifier')), wrong);
  assert.deepEqual(await exchange((body) => body.set('code_verifier', 'v'.repeat(43))), wrong);
  const elsewhere = `${REDIRECT_URI}/elsewhere`;
  assert.deepEqual(await exchange((body) => body.set('redirect_uri', elsewhere)), wrong);
  assert.equal((await exchange((body) => body.delete('redirect_uri'))).error, 'invalid_request');
  assert.equal((await exchange(() => undefined)).status, 200);

  const { url } = await authorizationRequest(application, { code_challenge_method: 'plain' });
  const answer = await serving.clients.browser(INSIDE).open(url);
  assert.match(answer.url, /error=invalid_request/);
});
