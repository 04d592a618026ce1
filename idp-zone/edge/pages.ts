// The pages a person sees: signing in, being denied and why, signing out, and what went wrong.
import { type Html, html, page } from './html.ts';

export interface LoginPage {
  readonly client: string;
  readonly action: string;
  readonly backUrl: string; // returns to the application without signing in
  readonly user: string; // as typed before
  readonly trouble: string | null;
}

export function loginPage({ client, action, backUrl, user, trouble }: LoginPage): string {
  return page(
    'Sign in',
    html`<p>to continue to ${client}</p>
${alert(trouble)}
<form method="post" action="${action}">
<label for="user">User name</label>
<input id="user" name="user" value="${user}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button type="submit">Sign in</button>
<a href="${backUrl}">Back to ${client}</a>
</form>`,
  );
}

export interface DeniedPage {
  readonly client: string;
  readonly message: string;
  readonly help: string | null;
  readonly reason: string;
  readonly id: string; // the log knows this denial by it
  readonly address: string | null;
  readonly retryUrl: string;
  readonly backUrl: string;
}

export function deniedPage(denied: DeniedPage): string {
  const { client, message, help, reason, id, address, retryUrl, backUrl } = denied;
  return page(
    'You cannot sign in here',
    html`${alert(message)}
${help === null ? null : html`<p><a href="${help}" rel="noreferrer">What you can do about it</a></p>`}
<p><a class="button" href="${retryUrl}">Try again</a> <a href="${backUrl}">Back to ${client}</a></p>
${facts({ Reason: reason, 'Your address': address ?? 'unknown', Reference: id })}`,
  );
}

export interface RefusedPage {
  readonly message: string;
  readonly help: string | null;
  readonly signIn: string | null;
  readonly reason: string;
  readonly id: string;
  readonly address: string | null;
}

/** What a proxy may show in place of the application it protects. */
export function refusedPage({ message, help, signIn, reason, id, address }: RefusedPage): string {
  return page(
    'You cannot go there',
    html`${alert(message)}
${signIn === null ? null : html`<p><a class="button" href="${signIn}">Sign in</a></p>`}
${help === null ? null : html`<p><a href="${help}" rel="noreferrer">What you can do about it</a></p>`}
${facts({ Reason: reason, 'Your address': address ?? 'unknown', Reference: id })}`,
  );
}

export interface ErrorPage {
  readonly title: string;
  readonly message: string;
  readonly code: string;
  readonly id: string;
}

export function errorPage({ title, message, code, id }: ErrorPage): string {
  return page(title, html`${alert(message)}${facts({ Reason: code, Reference: id })}`);
}

// `form` is the provider's own, with its token against forged requests.
export function signOutPage(form: string): string {
  return page(
    'Sign out?',
    html`<p>You are signed in here. Signing out ends it for every application.</p>
${{ html: form }}
<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button type="submit" form="op.logoutForm">Stay signed in</button>`,
  );
}

export function signedOutPage(): string {
  return page('You are signed out', html`<p>You can close this page.</p>`);
}

function alert(text: string | null): Html | null {
  return text === null ? null : html`<p role="alert">${text}</p>`;
}

function facts(rows: Readonly<Record<string, string>>): Html {
  const items = Object.entries(rows).map(
    ([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`.html,
  );
  return html`<dl>${{ html: items.join('\n') }}</dl>`;
}
