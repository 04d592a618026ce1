// One HTTP exchange with a UEM: no redirects, bounded in time and size, every failure a SourceError.

import { Agent, type Dispatcher } from 'undici';
import { SourceError } from './source.ts';

export interface ExchangeRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  // A POST that only asks, and may be sent twice.
  readonly isQuestion?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | null;
  readonly text: string;
}

export interface Exchange {
  send(request: ExchangeRequest, signal: AbortSignal): Promise<Answer>;
  close(): Promise<void>;
}

export interface ExchangeOptions {
  // A certificate authority of the operator's own, in PEM; null trusts the system's.
  readonly ca: string | null;
  readonly maxAnswerBytes: number;
}

// Enough for a thousand look-ups a second at 30 ms each; more would only move the queue into the UEM.
const CONNECTIONS = 32;

export function createExchange(options: ExchangeOptions): Exchange {
  const agent = new Agent({
    connections: CONNECTIONS,
    allowH2: false,
    connect: options.ca === null ? {} : { ca: options.ca },
  });
  return {
    async send(request, signal) {
      try {
        const answer = await begin(agent, request, signal);
        return {
          status: answer.statusCode,
          contentType: headerText(answer.headers['content-type']) ?? '',
          retryAfter: headerText(answer.headers['retry-after']),
          text: await readText(answer.body, options.maxAnswerBytes),
        };
      } catch (error) {
        throw toSourceError(error, request, signal);
      }
    },
    close: () => agent.destroy(),
  };
}

// A server may close an idle connection in the moment it is used again. Nothing was answered then, so one
// more try is no second question. Asking twice must be harmless.
async function begin(
  agent: Agent,
  request: ExchangeRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(request.url);
  const { method, headers, body } = request;
  const ask = () =>
    agent.request({ origin, path: pathname + search, method, headers, body, signal });
  try {
    return await ask();
  } catch (error) {
    const code = codeOf(error);
    const wasClosed = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
    const isQuestion = method === 'GET' || request.isQuestion === true;
    if (!isQuestion || !wasClosed || signal.aborted) throw error;
    return await ask();
  }
}

async function readText(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early destroys the body, and its connection with it.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new SourceError('outage', `answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}

// Says where and why, never the query (it names the device) nor any header (they carry secrets, threats A05).
function toSourceError(error: unknown, request: ExchangeRequest, signal: AbortSignal): SourceError {
  if (error instanceof SourceError) return error;
  if (signal.aborted && signal.reason instanceof SourceError) return signal.reason;
  const { host } = new URL(request.url);
  const code = codeOf(error);
  const why = signal.aborted ? 'no answer in time' : `no usable answer${code && ` (${code})`}`;
  return new SourceError('outage', `${why} from \`${host}\``, { cause: error });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

function headerText(value: string | string[] | undefined): string | null {
  return typeof value === 'string' ? value : (value?.[0] ?? null);
}
