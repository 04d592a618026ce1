// Asks the API of a UEM: signed in, one host only, bounded in time, size and pages; every failure is a SourceError.

import { createTokenHolder, type OAuthClient } from './access-token.ts';
import { type Answer, createExchange, type Exchange } from './exchange.ts';
import { SourceError } from './source.ts';
import { type Fields, readObject, refusedAnswer } from './uem-answer.ts';

export interface BasicCredentials {
  readonly kind: 'basic';
  readonly username: string;
  readonly password: string;
}

export type UemCredentials = OAuthClient | BasicCredentials;

export interface UemCallerOptions {
  // The API host, for example `https://as123.awmdm.com`; a path in it begins every path asked for.
  readonly url: string;
  readonly auth: UemCredentials;
  // Sent with every call.
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string | null;
  readonly deadlineMs: number; // of one call
  readonly maxAnswerBytes: number;
  readonly now: () => number;
}

export interface UemCall {
  // Below the API host, with its query. Never made of what somebody else has sent, but for `nextPath`.
  readonly path: string;
  // A body makes it a POST.
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface UemCaller {
  // The answer, whatever its status. Credentials that were refused are renewed, where they can be, and tried once more.
  send(call: UemCall, signal: AbortSignal): Promise<Answer>;
  // The object of an answer 200; anything else is an outage. An empty body is an empty object.
  object(call: UemCall, signal: AbortSignal): Promise<Fields>;
  // Page after page, until `next` says null. More than `most` is an outage: an endless list would never end the sweep.
  pages(
    first: UemCall,
    next: (page: Fields, at: number) => UemCall | null,
    options: { readonly most: number; readonly signal: AbortSignal },
  ): AsyncGenerator<Fields>;
  // The path of a link to a next page. One that leads elsewhere would be given our credentials, and is an outage.
  nextPath(link: string): string;
  close(): Promise<void>;
}

const WHO = 'the UEM';

export function createUemCaller(options: UemCallerOptions): UemCaller {
  const { now, deadlineMs } = options;
  const exchange = createExchange(options);
  const authorize = createAuthorization(options.auth, exchange, options);
  const base = options.url.replace(/\/+$/, '');

  async function send(call: UemCall, signal: AbortSignal): Promise<Answer> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
    const url = `${base}${call.path}`;
    const body = call.json === undefined ? null : JSON.stringify(call.json);
    const ask = (authorization: string): Promise<Answer> => {
      const headers = { accept: 'application/json', ...options.headers, ...call.headers };
      const type = body === null ? {} : { 'content-type': 'application/json' };
      const method = body === null ? 'GET' : 'POST';
      const all = { ...headers, ...type, authorization };
      return exchange.send({ method, url, headers: all, body, isQuestion: true }, deadline);
    };
    const first = await authorize(null);
    const answer = await ask(first);
    if (answer.status !== 401) return answer;
    const second = await authorize(first);
    return second === first ? answer : await ask(second);
  }

  async function object(call: UemCall, signal: AbortSignal): Promise<Fields> {
    const answer = await send(call, signal);
    if (answer.status === 204) return new Map();
    if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
    if (answer.text.trim() === '') return new Map();
    const fields = readObject(answer.text);
    if (fields !== null) return fields;
    throw new SourceError('outage', `${WHO} answered something else than a JSON object`);
  }

  return {
    send,
    object,
    async *pages(first, next, { most, signal }) {
      let call: UemCall | null = first;
      for (let at = 0; call !== null; at += 1) {
        if (at >= most) throw new SourceError('outage', `${WHO} has more than ${most} pages`);
        const page = await object(call, signal);
        yield page;
        const { path }: UemCall = call;
        call = next(page, at);
        if (call?.path === path) throw new SourceError('outage', `${WHO} gave one page twice`);
      }
    },
    nextPath(link) {
      const url = URL.parse(link);
      const own = new URL(base);
      const isOwn = url?.origin === own.origin && url.pathname.startsWith(own.pathname);
      if (url !== null && isOwn && url.username === '' && url.password === '') {
        return url.href.slice(own.href.replace(/\/+$/, '').length);
      }
      throw new SourceError('outage', `${WHO} gave a link to a next page that leads elsewhere`);
    },
    close: () => exchange.close(),
  };
}

// Gives the Authorization value to use, and a new one, if there can be one, for a value that was refused.
function createAuthorization(
  auth: UemCredentials,
  exchange: Exchange,
  options: { readonly deadlineMs: number; readonly now: () => number },
): (refused: string | null) => Promise<string> {
  if (auth.kind === 'basic') {
    const pair = Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64');
    return () => Promise.resolve(`Basic ${pair}`);
  }
  const scheme = 'Bearer ';
  const tokens = createTokenHolder(auth, exchange, options);
  return async (refused) =>
    scheme + (await tokens.token(refused === null ? null : refused.slice(scheme.length)));
}
