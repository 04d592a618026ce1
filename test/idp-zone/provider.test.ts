// The sign-in service over real TLS: zones at sign-in, at the code and at every refresh, and what it refuses to say.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import * as oidc from 'openid-client';
import { makeKey, type SigningKey } from '../../idp-zone/edge/keys.ts';
import { authorizationRequest, ISSUER, REDIRECT_URI, type Visited } from './clients.ts';
import {
  HELP,
  INSIDE,
  OUTSIDE,
  PASSWORD,
  policyOf,
  type Running,
  SIGN_ON,
  startIdpZone,
  ZONES,
} from './running.ts';

let running: Running;
before(async () => {
  running = await startIdpZone();
});
after(() => running.close());

const linkTo = (page: Visited, text: string) => {
  const [, href] = new RegExp(`<a[^>]* href="([^"]*)"[^>]*>${text}`).exec(page.text) ?? [];
  assert.ok(href, `there is a link \`${text}\``);
  return new URL(href.replaceAll('&amp;', '&'), ISSUER).href;
};

// Signs Ann in from inside the zone.
async function signIn(from = running) {
  const application = await from.application(INSIDE);
  const browser = from.browser(INSIDE);
  const request = await authorizationRequest(application);
  const answer = await browser.submit(await browser.open(request.url), 'ann', PASSWORD);
  return { browser, application, request, answer };
}

async function signInForTokens(from = running) {
  const { browser, application, request, answer } = await signIn(from);
  const tokens = await oidc.authorizationCodeGrant(
    application,
    new URL(answer.url),
    request.checks,
  );
  assert.ok(tokens.refresh_token);
  return { browser, application, tokens, refreshToken: tokens.refresh_token };
}

// The error of a token request that must not succeed.
async function refused(request: Promise<unknown>): Promise<oidc.ResponseBodyError> {
  const error = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof oidc.ResponseBodyError, String(error));
  return error;
}

async function counted(name: string): Promise<number> {
  const text = await running.metrics.text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  assert.ok(line, name);
  return Number(line.split(' ')[1]);
}

test('inside the zone a person signs in and the application gets its tokens', async () => {
  const { application, tokens } = await signInForTokens();
  assert.equal(tokens.claims()?.sub, 'ann');
  const person = await oidc.fetchUserInfo(application, tokens.access_token, 'ann');
  assert.deepEqual(person, { sub: 'ann', email: 'ann@example.test', groups: ['staff'] });
});

test('the sign-in page is a labelled form and names the application, escaped', async () => {
  const { url } = await authorizationRequest(await running.application(INSIDE));
  const page = await running.browser(INSIDE).open(url);
  assert.equal(page.status, 200);
  assert.match(page.text, /<html lang="en">/);
  assert.match(page.text, /<label for="user">/);
  assert.match(page.text, /<label for="password">/);
  assert.match(page.text, /Demo &lt;App&gt;/);
  assert.equal(page.text.match(/<h1>/g)?.length, 1);
});

test('outside the zone the right password leads to a page that says why and what to do', async () => {
  const browser = running.browser(OUTSIDE);
  const { url, checks } = await authorizationRequest(await running.application(OUTSIDE));
  const denials = 'zonegate_signon_decisions_total{outcome="sign-on.outside_zone"}';
  const before = await counted(denials);
  const lines = running.logged.length;
  const page = await browser.submit(await browser.open(url), 'ann', PASSWORD);

  assert.equal(page.status, 403);
  assert.match(page.text, /role="alert">Only through the tunnel\./);
  assert.match(page.text, /sign-on\.outside_zone/);
  assert.equal(linkTo(page, 'What you can do'), HELP);

  const [line, ...others] = running.logged.slice(lines);
  assert.equal(others.length, 0, 'one line for one sign-on');
  assert.equal(line?.['zonegate.reason'], 'sign-on.outside_zone');
  assert.equal(line?.['zonegate.rule'], 'everyone else');
  assert.equal(line?.['client.address'], OUTSIDE);
  assert.ok(page.text.includes(String(line?.['zonegate.id'])));
  assert.ok(!JSON.stringify(running.logged).includes(PASSWORD));
  assert.equal(await counted(denials), before + 1);

  const back = new URL((await browser.open(linkTo(page, 'Back to'))).url);
  assert.equal(back.origin + back.pathname, REDIRECT_URI);
  assert.equal(back.searchParams.get('error'), 'access_denied');
  assert.equal(back.searchParams.get('state'), checks.expectedState);
  assert.match(
    back.searchParams.get('error_description') ?? '',
    /^sign-on\.outside_zone: .*tunnel/,
  );
});

test('the denied person tries again through the tunnel and gets in', async () => {
  const application = await running.application(OUTSIDE);
  const browser = running.browser(OUTSIDE);
  const { url, checks } = await authorizationRequest(application);
  const page = await browser.submit(await browser.open(url), 'ann', PASSWORD);
  browser.from(INSIDE);
  const again = await browser.open(linkTo(page, 'Try again'));
  const answer = await browser.submit(again, 'ann', PASSWORD);
  const inside = await running.application(INSIDE);
  await oidc.authorizationCodeGrant(inside, new URL(answer.url), checks);
});

test('a session that is still open does not carry a person over the zone border', async () => {
  const { browser, application } = await signIn();
  const again = await authorizationRequest(application);
  const silent = await browser.open(again.url);
  assert.ok(new URL(silent.url).searchParams.has('code'), 'inside nobody is asked again');

  browser.from(OUTSIDE);
  const second = await authorizationRequest(application);
  const page = await browser.open(second.url);
  assert.equal(page.status, 403);
  assert.match(page.text, /sign-on\.outside_zone/);

  browser.from(INSIDE);
  const answer = await browser.open(linkTo(page, 'Try again'));
  assert.ok(new URL(answer.url).searchParams.has('code'), 'no password is asked for again');
});

test('a silent request from outside is answered to the application, with the reason', async () => {
  const { browser, application } = await signIn();
  browser.from(OUTSIDE);
  const { url } = await authorizationRequest(application, { prompt: 'none' });
  const { searchParams } = new URL((await browser.open(url)).url);
  assert.equal(searchParams.get('error'), 'access_denied');
  assert.match(searchParams.get('error_description') ?? '', /^sign-on\.outside_zone/);
});

test('a person no rule is about is denied inside the zone too', async () => {
  const browser = running.browser(INSIDE);
  const { url } = await authorizationRequest(await running.application(INSIDE));
  const page = await browser.submit(await browser.open(url), 'eve', PASSWORD);
  assert.equal(page.status, 403);
  assert.match(page.text, /sign-on\.rule/);
});

test('inside the zone a refresh token is exchanged for the next one', async () => {
  const { application, refreshToken } = await signInForTokens();
  const next = await oidc.refreshTokenGrant(application, refreshToken);
  assert.ok(next.refresh_token);
  assert.notEqual(next.refresh_token, refreshToken);
});

test('outside the zone a refresh is refused with reason and help, and burns nothing', async () => {
  const { application, refreshToken } = await signInForTokens();
  const outside = await running.application(OUTSIDE);
  for (let attempt = 0; attempt < 3; attempt++) {
    const error = await refused(oidc.refreshTokenGrant(outside, refreshToken));
    assert.equal(error.status, 400);
    assert.equal(error.error, 'invalid_grant');
    assert.match(
      error.error_description ?? '',
      /^sign-on\.outside_zone: Only through the tunnel\./,
    );
    assert.ok(error.error_description?.includes(HELP));
  }
  const next = await oidc.refreshTokenGrant(application, refreshToken);
  assert.ok(next.refresh_token, 'the same token works back inside');
});

test('a spent refresh token ends the whole family, after a denial in between too', async () => {
  const { application, refreshToken } = await signInForTokens();
  const outside = await running.application(OUTSIDE);
  await refused(oidc.refreshTokenGrant(outside, refreshToken));
  const next = await oidc.refreshTokenGrant(application, refreshToken);
  assert.equal(
    (await refused(oidc.refreshTokenGrant(application, refreshToken))).error,
    'invalid_grant',
  );
  const newest = next.refresh_token ?? '';
  assert.equal((await refused(oidc.refreshTokenGrant(application, newest))).error, 'invalid_grant');
});

test('of two refreshes at once with one token one wins', async () => {
  const { application, refreshToken } = await signInForTokens();
  const both = [0, 1].map(() => oidc.refreshTokenGrant(application, refreshToken));
  const results = await Promise.allSettled(both);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('a code is not exchanged outside the zone and still works inside', async () => {
  const { application, request, answer } = await signIn();
  const outside = await running.application(OUTSIDE);
  const error = await refused(
    oidc.authorizationCodeGrant(outside, new URL(answer.url), request.checks),
  );
  assert.match(error.error_description ?? '', /^sign-on\.outside_zone/);
  await oidc.authorizationCodeGrant(application, new URL(answer.url), request.checks);
});

test('I05: nobody can claim to come from the zone by a header', async () => {
  const { refreshToken } = await signInForTokens();
  const body = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'demo-app',
    refresh_token: refreshToken,
  }).toString();
  const forged = { 'x-forwarded-for': INSIDE, forwarded: `for=${INSIDE}`, 'x-real-ip': INSIDE };
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...forged };
  const response = await running.send(OUTSIDE, '/token', { method: 'POST', body, headers });
  assert.equal(response.status, 400);
  assert.match(response.text, /sign-on\.outside_zone/);
});

test('behind a declared proxy the forwarded address counts', async (t) => {
  const proxied = await startIdpZone({
    zones: { zones: [{ name: 'egress', gateways: ['203.0.113.8'], proxies: [OUTSIDE] }] },
    config: { trustedProxies: [OUTSIDE] },
  });
  t.after(() => proxied.close());
  const browser = proxied.browser(OUTSIDE);
  const { url } = await authorizationRequest(await proxied.application(OUTSIDE));
  const form = await browser.open(url);
  const post = (forwardedFor: string) =>
    browser.open(form.url, {
      method: 'POST',
      body: new URLSearchParams({ user: 'ann', password: PASSWORD }).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-forwarded-for': forwardedFor,
      },
    });
  assert.equal((await post('203.0.113.8, 203.0.113.9')).status, 403);
  // The password is right here; the request after it comes without the header and is judged on its own.
  assert.match((await post('203.0.113.9, 203.0.113.8')).text, /sign-on\.outside_zone/);
  const allowed = proxied.logged.find((line) => line['msg'] === 'sign-on allowed');
  assert.equal(allowed?.['client.address'], '203.0.113.8');
});

test('new zones count from the next request on', async (t) => {
  const changing = await startIdpZone();
  t.after(() => changing.close());
  const { application, refreshToken } = await signInForTokens(changing);
  changing.idp.update(
    policyOf({ zones: [{ name: 'egress', gateways: ['203.0.113.8'] }] }, SIGN_ON),
  );
  const error = await refused(oidc.refreshTokenGrant(application, refreshToken));
  assert.match(error.error_description ?? '', /^sign-on\.outside_zone/);
  changing.idp.update(policyOf(ZONES, SIGN_ON));
  await oidc.refreshTokenGrant(application, refreshToken);
});

test('a renewed certificate is used without a restart, a broken one is not', async (t) => {
  const renewed = await startIdpZone();
  t.after(() => renewed.close());
  const shown = async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: renewed.idp.port,
      ca: renewed.ca,
      servername: new URL(ISSUER).hostname,
    });
    await once(socket, 'secureConnect');
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber.toLowerCase();
  };
  const serial = await renewed.issueCertificate();
  assert.notEqual(await shown(), serial);
  await renewed.idp.renewCertificate();
  assert.equal(await shown(), serial);
  await writeFile(join(renewed.folder, 'tls.pem'), 'broken');
  await renewed.idp.renewCertificate();
  assert.equal(await shown(), serial);
});

test('keys are published before they sign and after, without a restart; broken ones change nothing', async (t) => {
  const changing = await startIdpZone();
  t.after(() => changing.close());
  const file = join(changing.folder, 'keys.json');
  const [one] = (JSON.parse(await readFile(file, 'utf8')) as { keys: SigningKey[] }).keys;
  assert.ok(one);
  const two = makeKey('ES256');
  const put = async (...keys: SigningKey[]) => {
    await writeFile(file, JSON.stringify({ keys }));
    await changing.idp.renewKeys();
  };
  const published = async () =>
    (JSON.parse((await changing.send(INSIDE, '/jwks')).text) as { keys: SigningKey[] }).keys.map(
      ({ kid }) => kid,
    );
  let { application, refreshToken } = await signInForTokens(changing);
  const signedWith = async () => {
    const tokens = await oidc.refreshTokenGrant(application, refreshToken);
    refreshToken = tokens.refresh_token ?? '';
    const [head = ''] = (tokens.id_token ?? '').split('.');
    return (JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }).kid;
  };
  await put(one, two);
  assert.deepEqual(await published(), [one.kid, two.kid]);
  assert.equal(await signedWith(), one.kid);
  await put(two, one);
  assert.equal(await signedWith(), two.kid);
  assert.deepEqual(await published(), [two.kid, one.kid]);
  await put();
  assert.equal(await signedWith(), two.kid);
  await put(two);
  assert.deepEqual(await published(), [two.kid]);
});

test('a phone application is signed in without a question about consent', async () => {
  const application = await running.application(INSIDE, 'phone');
  const browser = running.browser(INSIDE);
  const redirect = 'com.example.phone:/callback';
  const { url, checks } = await authorizationRequest(application, { redirect_uri: redirect });
  const answer = await browser.submit(await browser.open(url), 'ann', PASSWORD);
  await oidc.authorizationCodeGrant(application, new URL(answer.url), checks);
});

test('signing out ends the session and its refresh tokens', async () => {
  const { browser, application, refreshToken } = await signInForTokens();
  const page = await browser.open(`${ISSUER}/session/end`);
  const [, xsrf] = /name="xsrf" value="([^"]*)"/.exec(page.text) ?? [];
  const done = await browser.open(`${ISSUER}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf: xsrf ?? '', logout: 'yes' }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  assert.match(done.text, /You are signed out/);
  await refused(oidc.refreshTokenGrant(application, refreshToken));
});

test('I01: code only, S256 only, asymmetric algorithms only, public keys only', async () => {
  const server = (await running.application(INSIDE)).serverMetadata();
  assert.deepEqual(server.response_types_supported, ['code']);
  assert.deepEqual(server.code_challenge_methods_supported, ['S256']);
  assert.deepEqual(server.grant_types_supported, ['authorization_code', 'refresh_token']);
  assert.deepEqual(server.id_token_signing_alg_values_supported, ['ES256']);
  const { keys } = JSON.parse((await running.send(INSIDE, '/jwks')).text) as { keys: object[] };
  assert.equal(keys.length, 1);
  assert.ok(keys.every((key) => !('d' in key)));
});

test('I02: a redirect that is not registered gets a page and no redirect', async () => {
  const application = await running.application(INSIDE);
  for (const redirect of ['https://evil.example/cb', `${REDIRECT_URI}/x`, `${REDIRECT_URI}?x=1`]) {
    const { url } = await authorizationRequest(application, { redirect_uri: redirect });
    const response = await running.send(INSIDE, new URL(url).pathname + new URL(url).search, {
      headers: { accept: 'text/html' },
    });
    assert.equal(response.status, 400);
    assert.equal(response.headers['location'], undefined);
    assert.match(response.text, /This sign-in did not work/);
  }
});

test('I03: without PKCE, with plain, and for anything but a code there is no sign-in', async () => {
  const browser = running.browser(INSIDE);
  const base = { client_id: 'demo-app', redirect_uri: REDIRECT_URI, scope: 'openid', state: 's' };
  const challenge = { code_challenge: 'c'.repeat(43) };
  const requests = [
    { ...base, response_type: 'code' },
    { ...base, ...challenge, response_type: 'code' },
    { ...base, ...challenge, response_type: 'code', code_challenge_method: 'plain' },
    { ...base, ...challenge, response_type: 'id_token', nonce: 'n', code_challenge_method: 'S256' },
    { ...base, ...challenge, response_type: 'token', code_challenge_method: 'S256' },
  ];
  for (const request of requests) {
    const answer = await browser.open(`${ISSUER}/auth?${new URLSearchParams(request).toString()}`);
    assert.ok(answer.url.startsWith(REDIRECT_URI), answer.text);
    assert.match(answer.url, /error=(invalid_request|unsupported_response_type)/);
    assert.doesNotMatch(answer.url, /[?&#](code|id_token|access_token)=/);
  }
});

test('a wrong password and an unknown name get the same answer', async () => {
  const browser = running.browser(INSIDE);
  const { url } = await authorizationRequest(await running.application(INSIDE));
  const form = await browser.open(url);
  const pages = [
    await browser.submit(form, 'ann', 'wrong'),
    await browser.submit(form, '"><b>nobody', PASSWORD),
  ];
  for (const page of pages) {
    assert.equal(page.status, 403);
    assert.match(page.text, /role="alert">The user name or the password is not right\./);
  }
  assert.ok(!pages[1]?.text.includes('<b>nobody'));
});

test('guessing one name ends in waiting, not in a lockout of the others', async (t) => {
  const guessed = await startIdpZone();
  t.after(() => guessed.close());
  const browser = guessed.browser(INSIDE);
  const { url } = await authorizationRequest(await guessed.application(INSIDE));
  const form = await browser.open(url);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 11; attempt++) {
    statuses.push((await browser.submit(form, 'eve', `guess ${attempt}`)).status);
  }
  assert.deepEqual(statuses, [...Array(10).fill(403), 429]);
  const answer = await browser.submit(form, 'ann', PASSWORD);
  assert.ok(answer.url.startsWith(REDIRECT_URI));
});

test('I08: every page keeps out of frames and caches, and odd forms sign nobody in', async () => {
  const browser = running.browser(INSIDE);
  const { url } = await authorizationRequest(await running.application(INSIDE));
  const form = await browser.open(url);
  for (const page of [form, await browser.open(`${ISSUER}/nothing`)]) {
    assert.match(page.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
    assert.equal(page.headers.get('cache-control'), 'no-store');
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  }
  const good = `user=ann&password=${encodeURIComponent(PASSWORD)}`;
  const type = 'application/x-www-form-urlencoded';
  const odd = [
    { body: `${good}&user=ann`, headers: { 'content-type': type } },
    { body: good, headers: { 'content-type': 'text/plain' } },
    { body: `${good}&x=${'x'.repeat(20_000)}`, headers: { 'content-type': type } },
  ];
  for (const init of odd) {
    assert.equal((await browser.open(form.url, { method: 'POST', ...init })).status, 403);
  }
});

test('a request for another host is not ours', async () => {
  const headers = { host: 'evil.example', accept: 'text/html' };
  const response = await running.send(INSIDE, '/.well-known/openid-configuration', { headers });
  assert.equal(response.status, 421);
  assert.ok(!response.text.includes('evil.example'));
});

test('a sign-in page is read and posted to, nothing else', async () => {
  const response = await running.send(INSIDE, '/interaction/x', { method: 'DELETE' });
  assert.equal(response.status, 405);
  assert.equal(response.headers['allow'], 'GET, HEAD, POST');
});

test('a sign-in page without its cookie is over', async () => {
  const { url } = await authorizationRequest(await running.application(INSIDE));
  const form = await running.browser(INSIDE).open(url);
  const stranger = await running.browser(INSIDE).open(form.url);
  assert.equal(stranger.status, 400);
  assert.match(stranger.text, /This sign-in is over/);
});

test('nothing is printed to the console when the service is loaded', async () => {
  const module = new URL('../../idp-zone/idp-zone.ts', import.meta.url).href;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    `await import(${JSON.stringify(module)})`,
  ]);
  assert.equal(stdout + stderr, '');
});

test('nothing is printed to the console while somebody signs in and out', async (t) => {
  const printed = (['log', 'info', 'warn', 'error'] as const).map(
    (level) => t.mock.method(console, level, () => undefined).mock,
  );
  const quiet = await startIdpZone();
  t.after(() => quiet.close());
  const { application, refreshToken } = await signInForTokens(quiet);
  await oidc.refreshTokenGrant(application, refreshToken);
  assert.deepEqual(
    printed.map((mock) => mock.callCount()),
    [0, 0, 0, 0],
  );
});
