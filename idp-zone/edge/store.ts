// What the provider remembers (sessions, grants, codes, tokens): in memory and bounded, so a restart signs everybody out.
import { LRUCache } from 'lru-cache';
import type { Adapter, AdapterPayload } from 'oidc-provider';

export interface StoreOptions {
  readonly maxEntries: number; // of each kind: a flood of sign-ins begun must not push refresh tokens out
  readonly now: () => number;
  // Asked before a code or token is spent; throwing leaves it as it was.
  readonly beforeConsume: (kind: string, payload: AdapterPayload) => void;
  readonly alreadyConsumed: () => Error;
}

interface Entry {
  payload: AdapterPayload;
}

export function createStore(options: StoreOptions): (kind: string) => Adapter {
  const kinds = new Map<string, Adapter>();
  return (kind) => {
    const known = kinds.get(kind) ?? createKind(kind, options);
    kinds.set(kind, known);
    return known;
  };
}

function createKind(kind: string, options: StoreOptions): Adapter {
  // Invariant: both indexes name exactly what is in the cache; `dispose` sees every way out of it.
  const byGrant = new Map<string, Set<string>>();
  const byUid = new Map<string, string>();
  const entries = new LRUCache<string, Entry>({
    max: options.maxEntries,
    dispose: ({ payload }, id) => unlink(payload, id),
  });

  function link({ grantId, uid }: AdapterPayload, id: string): void {
    if (uid !== undefined) byUid.set(uid, id);
    if (grantId === undefined) return;
    const ids = byGrant.get(grantId) ?? new Set();
    byGrant.set(grantId, ids.add(id));
  }

  function unlink({ grantId, uid }: AdapterPayload, id: string): void {
    if (uid !== undefined && byUid.get(uid) === id) byUid.delete(uid);
    const ids = grantId === undefined ? undefined : byGrant.get(grantId);
    ids?.delete(id);
    if (grantId !== undefined && ids?.size === 0) byGrant.delete(grantId);
  }

  const find = (id: string) => entries.get(id)?.payload;
  return settled({
    upsert(id, payload, expiresIn) {
      const ttl = expiresIn === undefined ? {} : { ttl: Math.max(1, expiresIn * 1000) };
      entries.set(id, { payload }, ttl);
      link(payload, id);
    },
    find,
    findByUid: (uid) => find(byUid.get(uid) ?? ''),
    findByUserCode: () => undefined, // the device flow is off
    consume(id) {
      const entry = entries.get(id);
      if (entry === undefined) return;
      // Two requests with one token may both have found it unspent; only the first may spend it.
      if (entry.payload.consumed !== undefined) throw options.alreadyConsumed();
      options.beforeConsume(kind, entry.payload);
      entry.payload = { ...entry.payload, consumed: Math.floor(options.now() / 1000) };
    },
    destroy(id) {
      entries.delete(id);
    },
    revokeByGrantId(grantId) {
      for (const id of byGrant.get(grantId) ?? []) entries.delete(id);
    },
  });
}

type Sync = {
  readonly [K in keyof Adapter]: (
    ...args: Parameters<Adapter[K]>
  ) => Awaited<ReturnType<Adapter[K]>>;
};

// The provider awaits everything; what it awaits here has already happened, or has already failed.
function settled(sync: Sync): Adapter {
  const later =
    <A extends unknown[], R>(act: (...args: A) => R) =>
    (...args: A) =>
      new Promise<R>((resolve) => resolve(act(...args)));
  return {
    upsert: later(sync.upsert),
    find: later(sync.find),
    findByUid: later(sync.findByUid),
    findByUserCode: later(sync.findByUserCode),
    consume: later(sync.consume),
    destroy: later(sync.destroy),
    revokeByGrantId: later(sync.revokeByGrantId),
  };
}
