// One request at a time on a device's connection: pipelined ones wait until the answer before them is out.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface TurnOptions {
  /** Between an answer and the next whole request head, whatever else the device sends meanwhile:
   *  the HTTP server takes any byte, an empty line too, for a sign of life (threats R04, H20). */
  readonly restMs: number;
  readonly handle: (exchange: Exchange) => Promise<void>;
}

interface Turns {
  current: Exchange | null;
  readonly waiting: Exchange[];
  rest: NodeJS.Timeout | undefined;
}

/** Honest clients do not pipeline through proxies; a client that floods is not worth more (threats H28). */
const maxWaiting = 16;

const turnsBy = new WeakMap<Duplex, Turns>();

/** Each is judged when its turn comes, with the posture and policy of that moment. */
export function takeTurn(exchange: Exchange, options: TurnOptions): void {
  const { socket } = exchange.request;
  const turns = turnsOf(socket);
  if (turns.current !== null) {
    if (turns.waiting.length < maxWaiting) turns.waiting.push(exchange);
    else socket.destroy();
    return;
  }
  clearTimeout(turns.rest);
  turns.current = exchange;
  exchange.response.once('close', () => {
    turns.current = null;
    // After an answer that closes the connection nothing more is served (threats H28).
    if (!socket.writable) return;
    const next = turns.waiting.shift();
    if (next !== undefined) takeTurn(next, options);
    else turns.rest = setTimeout(() => socket.destroy(), options.restMs);
  });
  options.handle(exchange).catch(() => socket.destroy());
}

/** The exchange that is going on; null between requests. */
export function currentExchange(socket: Duplex): Exchange | null {
  return turnsBy.get(socket)?.current ?? null;
}

/** The connection becomes a tunnel. False while an answer is still to come: it would end up in the
 *  tunnel's bytes (threats H10, H24). */
export function endTurns(socket: Duplex): boolean {
  clearTimeout(turnsBy.get(socket)?.rest);
  return currentExchange(socket) === null;
}

function turnsOf(socket: Duplex): Turns {
  const known = turnsBy.get(socket);
  if (known !== undefined) return known;
  const turns: Turns = { current: null, waiting: [], rest: undefined };
  turnsBy.set(socket, turns);
  socket.once('close', () => clearTimeout(turns.rest));
  return turns;
}
