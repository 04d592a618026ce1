// Questions and answers between two processes over a message channel, and calls nobody waits for.

/** By name: what is asked, and what comes back. */
export type Calls = Readonly<Record<string, readonly [asked: unknown, answer: unknown]>>;

export type Handlers<C extends Calls> = {
  readonly [K in keyof C]: (asked: C[K][0]) => C[K][1] | Promise<C[K][1]>;
};

export interface Talk<Theirs extends Calls> {
  /** Fails when no answer comes in time (null waits for as long as it takes) or the other side is gone. */
  ask<K extends keyof Theirs & string>(
    name: K,
    asked: Theirs[K][0],
    deadlineMs: number | null,
  ): Promise<Theirs[K][1]>;
  tell<K extends keyof Theirs & string>(name: K, asked: Theirs[K][0]): void;
  /** Every message of the channel; what is none of ours is left alone. */
  receive(message: unknown): void;
  /** The other side is gone. */
  close(): void;
}

type Message =
  | { readonly kind: 'ask'; readonly id: number; readonly name: string; readonly asked: unknown }
  | { readonly kind: 'tell'; readonly name: string; readonly asked: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string };

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | null;
}

export function createTalk<Theirs extends Calls, Ours extends Calls>(
  send: (message: Message) => void,
  handlers: Handlers<Ours>,
): Talk<Theirs> {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let closed = false;

  async function answer({ id, name, asked }: Extract<Message, { kind: 'ask' }>): Promise<void> {
    try {
      send({ kind: 'answer', id, answer: await handle(name, asked) });
    } catch (error) {
      send({ kind: 'failure', id, message: error instanceof Error ? error.message : 'failed' });
    }
  }
  function handle(name: string, asked: unknown): unknown {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`nothing answers \`${name}\``);
    return handler(asked);
  }
  function settled(id: number): Waiting | undefined {
    const found = waiting.get(id);
    waiting.delete(id);
    if (found?.timer) clearTimeout(found.timer);
    return found;
  }
  function receive(message: Message): void {
    switch (message.kind) {
      case 'ask':
        void answer(message);
        break;
      case 'tell':
        handle(message.name, message.asked);
        break;
      case 'answer':
        settled(message.id)?.resolve(message.answer);
        break;
      case 'failure':
        settled(message.id)?.reject(new Error(message.message));
        break;
    }
  }

  return {
    ask(name, asked, deadlineMs) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      if (closed) return Promise.reject(new Error('the other process is gone'));
      last += 1;
      const id = last;
      const late = () => settled(id)?.reject(new Error(`no answer within ${deadlineMs} ms`));
      const timer = deadlineMs === null ? null : setTimeout(late, deadlineMs);
      waiting.set(id, { resolve, reject, timer });
      send({ kind: 'ask', id, name, asked });
      return promise;
    },
    tell(name, asked) {
      if (!closed) send({ kind: 'tell', name, asked });
    },
    receive(message) {
      if (isMessage(message)) receive(message);
    },
    close() {
      closed = true;
      for (const id of waiting.keys()) settled(id)?.reject(new Error('the other process is gone'));
    },
  };
}

/** Both ends are of one version of this program: that it is ours is all there is to find out. */
function isMessage(message: unknown): message is Message {
  const kinds: readonly unknown[] = ['ask', 'tell', 'answer', 'failure'];
  return (
    typeof message === 'object' &&
    message !== null &&
    'kind' in message &&
    kinds.includes(message.kind)
  );
}
