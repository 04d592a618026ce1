// The sign-in pages of quickstart in a real Chromium, outside the tunnel and by keyboard alone.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { idpHost } from '../../cli/quickstart/templates.ts';
import { portsFrom } from '../../cli/quickstart.ts';
import { findPortBase } from '../support/ports.ts';
import { program, type RunningCommand, run, startZonegate } from '../support/program.ts';

const needed = program('chromium');
// Nothing but the sign-in service is asked for anything: no updates, no look-ups.
const args = [
  `--host-resolver-rules=MAP ${idpHost} 127.0.0.1`,
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
let home: string;
let issuer: string;
let running: RunningCommand;
let browser: Browser;

before(async () => {
  if (needed.skip !== false) return;
  home = await mkdtemp(join(tmpdir(), 'zonegate-browser-'));
  const base = await findPortBase();
  issuer = `https://${idpHost}:${portsFrom(base).idp}`;
  running = startZonegate('quickstart', '--state', join(home, 'state'), '--port-base', `${base}`);
  await running.shows('Ctrl-C stops it');
  const { stdout } = await run('which', ['chromium']);
  browser = await chromium.launch({ executablePath: stdout.trim(), args });
});
after(async () => {
  if (needed.skip !== false) return;
  await browser.close();
  await running[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** What the browser complained about: errors, and all it kept from loading for the policy of the page. */
  readonly complaints: readonly string[];
}

/** A new window, its first page that of an application's sign-in request. */
async function startSignIn(): Promise<Visit> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // That a denial is a 403 the browser reports too; it is what the page is about.
    const isStatus = message
      .text()
      .startsWith('Failed to load resource: the server responded with');
    if (message.type() === 'error' && !isStatus) complaints.push(message.text());
  });
  await page.goto(await signInRequest(page));
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

async function signInRequest(page: Page): Promise<string> {
  const answer = await page.goto(`${issuer}/.well-known/openid-configuration`);
  assert.ok(answer);
  const { authorization_endpoint } = (await answer.json()) as { authorization_endpoint: string };
  const challenge = createHash('sha256').update('v'.repeat(43)).digest('base64url');
  const request = new URLSearchParams({
    client_id: 'demo-app',
    response_type: 'code',
    redirect_uri: 'http://127.0.0.1:9/callback',
    scope: 'openid',
    state: 'a-state-of-the-application',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  return `${authorization_endpoint}?${request.toString()}`;
}

const password = async () =>
  (await readFile(join(home, 'state/secrets/ann-password'), 'utf8')).trim();

/** What has the focus, by its words, and whether one can see that it has it. */
async function nextFocused(page: Page): Promise<unknown> {
  await page.keyboard.press('Tab');
  // Text, because it runs in the page: this project has no types of browsers.
  return await page.evaluate(`{
    const element = document.activeElement;
    const words = (element.labels?.[0] ?? element).textContent;
    getComputedStyle(element).outlineStyle === 'solid' ? words : words + ', but nobody can see it';
  }`);
}

async function type(page: Page, text: string): Promise<void> {
  await page.keyboard.press('Tab');
  await page.keyboard.type(text);
}

async function submit(page: Page, user: string, secret: string): Promise<number> {
  await type(page, user);
  await type(page, secret);
  const answer = page.waitForResponse((response) => response.request().method() === 'POST');
  const loaded = page.waitForEvent('load');
  await page.keyboard.press('Enter');
  await loaded;
  return (await answer).status();
}

test('the login page says what it is for, and is styled', needed, async () => {
  await using visit = await startSignIn();
  const { page, complaints } = visit;
  assert.equal(await page.title(), 'Sign in');
  assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Sign in');
  assert.equal(await page.getByLabel('Password').getAttribute('type'), 'password');
  assert.equal(await page.getByRole('alert').count(), 0);
  // The style sheet is let in by its hash: one letter of difference and the page is bare.
  const radius = await page.evaluate(
    `getComputedStyle(document.querySelector('main')).borderRadius`,
  );
  assert.equal(radius, '12px');
  assert.deepEqual(complaints, []);
});

test('a script that gets into the page is not run', needed, async () => {
  await using visit = await startSignIn();
  const { page, complaints } = visit;
  const complained = page.waitForEvent('console');
  await page.evaluate(`{
    const script = document.createElement('script');
    script.textContent = 'document.title = "taken over"';
    document.body.append(script);
  }`);
  await complained;
  assert.equal(await page.title(), 'Sign in');
  assert.match(complaints.join(), /Content Security Policy/);
});

test(
  'by keyboard alone every control is reached in order, and the focus is seen',
  needed,
  async () => {
    await using visit = await startSignIn();
    const { page } = visit;
    const reached: unknown[] = [];
    while (reached.length < 4) reached.push(await nextFocused(page));
    assert.deepEqual(reached, ['User name', 'Password', 'Sign in', 'Back to Demo application']);
  },
);

test('a wrong password is told without saying which part is wrong', needed, async () => {
  await using visit = await startSignIn();
  const { page, complaints } = visit;
  assert.equal(await submit(page, 'ann', 'not the password'), 403);
  const alert = await page.getByRole('alert').textContent();
  assert.equal(alert, 'The user name or the password is not right.');
  assert.equal(await page.getByLabel('User name').inputValue(), 'ann');
  assert.equal(await page.getByLabel('Password').inputValue(), '');
  assert.deepEqual(complaints, []);
});

test(
  'outside the tunnel the right password leads to the denial: why, what helps, and a reference',
  needed,
  async () => {
    await using visit = await startSignIn();
    const { page, complaints } = visit;
    assert.equal(await submit(page, 'ann', await password()), 403);
    assert.equal(await page.title(), 'You cannot sign in here');
    assert.equal(
      await page.getByRole('alert').textContent(),
      'Sign-in works only on a healthy company device, through the tunnel.',
    );
    const help = page.getByRole('link', { name: 'What you can do about it' });
    assert.equal(await help.getAttribute('href'), 'https://help.example.com/sign-in');
    const [reason, address, reference = ''] = await page.getByRole('definition').allTextContents();
    assert.deepEqual([reason, address], ['sign-on.outside_zone', '127.0.0.1']);
    assert.match(reference, /^[\w-]{8,}$/);
    const reached: unknown[] = [];
    while (reached.length < 2) reached.push(await nextFocused(page));
    assert.deepEqual(reached, ['What you can do about it', 'Try again']);
    await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')]);
    assert.equal(await page.title(), 'Sign in');
    assert.deepEqual(complaints, []);
  },
);

test('the log knows a denial by the reference on its page', needed, async () => {
  await using visit = await startSignIn();
  await submit(visit.page, 'ann', await password());
  const reference = await visit.page.getByRole('definition').last().textContent();
  await visit.page.close();
  // Lines are written a moment later, and the last ones at the end.
  running.stop('SIGTERM');
  assert.equal(await running.ended, 0);
  const log = (await readFile(join(home, 'state/zonegate.log'), 'utf8')).trimEnd().split('\n');
  const lines = log.filter((line) => line.includes(String(reference)));
  assert.ok(lines.some((line) => line.includes('sign-on.outside_zone')));
});
