// Builds the sign-in service from its configuration and policy, and wires the parts together.
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Readiness } from '../runtime/readiness.ts';
import type { Store as OpenStore } from '../runtime/state/state.ts';
import { applicationsOf, type IdpConfig } from './config/parse.ts';
import type { Locate } from './decision/place.ts';
import type { SignOnPolicy } from './decision/sign-on.ts';
import type { ZoneSource } from './decision/zone.ts';
import { createAccounts } from './edge/accounts.ts';
import { createAttempts } from './edge/attempts.ts';
import { createAuthz } from './edge/authz.ts';
import { createFeedReader } from './edge/feed.ts';
import { createFindBlock, createGate } from './edge/gate.ts';
import { createInteractions } from './edge/interaction.ts';
import { createListener, type KeyPair, type Listener } from './edge/listener.ts';
import { type LiveKeys, openLiveKeys } from './edge/live-keys.ts';
import { createLiveZones, type LiveZones } from './edge/live-zones.ts';
import { createProvider } from './edge/provider.ts';
import { createFactsReader } from './edge/request-facts.ts';
import { createSimulate, type Simulate } from './edge/simulate.ts';
import { createTelemetry, type Telemetry } from './edge/telemetry.ts';
import { createStore, type Store } from './state/store.ts';
import { schema, type Tables } from './state/tables.ts';

// A sign-in begun by a stranger is about a kilobyte.
const MAX_STRANGERS = 100_000;
// Applications read the keys again within a day, or when they meet one they do not know.
const KEY_LEAD_MS = 24 * 3_600_000;
// Clocks differ.
const KEY_SPARE_MS = 5 * 60_000;

export interface IdpPolicy {
  readonly zones: readonly ZoneSource[];
  readonly locate: Locate | null; // where an address is, as the databases say
  readonly signOn: SignOnPolicy;
}

export interface IdpZoneOptions {
  readonly config: IdpConfig;
  readonly folder: string; // what relative file names in the config are relative to
  readonly policy: IdpPolicy;
  readonly state: OpenStore;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
}

export interface IdpZone {
  readonly port: number;
  readonly issuer: string;
  update(policy: IdpPolicy): void; // reads certificate and signing keys again too
  renewCertificate(): Promise<void>;
  renewKeys(): Promise<void>;
  readonly simulate: Simulate; // asks what is in force, and signs nobody in
  close(): Promise<void>;
}

export async function createIdpZone(options: IdpZoneOptions): Promise<IdpZone> {
  const { config } = options;
  const { proxyProtocol } = config;
  const store = await openSignIns(options);
  const opened: { close(): Promise<void> }[] = [store];
  try {
    const keys = await openKeys(options);
    opened.unshift(keys);
    const listener = await createListener({
      ...config.listen,
      ...(await readPair(options)),
      proxyProtocol,
      log: options.log,
    });
    opened.unshift(listener);
    return serve(options, { listener, keys, store });
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}

interface Parts {
  readonly listener: Listener;
  readonly keys: LiveKeys;
  readonly store: Store;
}

function serve(options: IdpZoneOptions, { listener, keys, store }: Parts): IdpZone {
  const { config, log, metrics, readiness } = options;
  const issuer = config.issuer ?? `https://${hostText(config.listen.host)}:${listener.port}`;
  const telemetry = createTelemetry(metrics, log);
  const zones = openZones(options, telemetry);
  let signOn = options.policy.signOn;

  const peerOf = (socket: Socket) => listener.peerOf(socket);
  const inForce = () => zones.current();
  const facts = createFactsReader({ ...config, peerOf });
  const accounts = createAccounts(config.users);
  const gate = createGate({ policy: () => signOn, zones: inForce, facts, telemetry });
  const attempts = createAttempts(Date.now);
  const names = new Map(config.clients.map(({ id, name }) => [id, name ?? id]));
  const clientName = (id: string) => names.get(id) ?? id;
  // A provider knows its keys from its beginning to its end; what it remembers is in the store.
  const withKeys = () => {
    const parts = { accounts, gate, facts, store, log };
    const provider = createProvider({ ...config, ...parts, issuer, keys: keys.current() });
    const asked = { provider, accounts, attempts, gate, facts, telemetry, clientName };
    return { interactions: createInteractions(asked), callback: provider.callback() };
  };
  let serving = withKeys();
  keys.onChange(() => {
    serving = withKeys();
  });

  zones.update(options.policy.zones, options.policy.locate);
  const findBlock = createFindBlock(inForce);
  const authz = config.authz && createAuthz({ ...config.authz, gate, facts, telemetry, accounts });
  listener.serve({
    issuer,
    interactions: (...visit) => serving.interactions(...visit),
    authz,
    callback: (...visit) => serving.callback(...visit),
    facts,
    findBlock,
    telemetry,
    log,
  });
  readiness.set('sign-in', 'ok');
  return {
    port: listener.port,
    issuer,
    // One assignment after the other, with nothing in between: no request sees new zones with old rules.
    update(policy) {
      zones.update(policy.zones, policy.locate);
      signOn = policy.signOn;
      void renewCertificate(options, listener);
      void keys.refresh();
    },
    renewKeys: () => keys.refresh(),
    renewCertificate: () => renewCertificate(options, listener),
    simulate: createSimulate({
      policy: () => signOn,
      zones: inForce,
      accounts,
      applications: applicationsOf(config),
      now: Date.now,
    }),
    async close() {
      readiness.set('sign-in', 'it is closed');
      zones.close();
      await listener.close();
      await keys.close();
      await store.close();
    },
  };
}

function openKeys({ config, folder, log, readiness }: IdpZoneOptions): Promise<LiveKeys> {
  const { keysFile, keyRotationMs, accessTokenTtlMs } = config;
  const times = { leadMs: KEY_LEAD_MS, keepMs: accessTokenTtlMs + KEY_SPARE_MS };
  const plan = keyRotationMs === null ? null : { everyMs: keyRotationMs, ...times };
  return openLiveKeys({ file: resolve(folder, keysFile), plan, now: Date.now, log, readiness });
}

/** Whoever was signed in before the last stop still is. */
async function openSignIns({ state, log }: IdpZoneOptions): Promise<Store> {
  let isFailing = false;
  return createStore({
    state: await state.open<Tables>(schema),
    now: Date.now,
    maxStrangers: MAX_STRANGERS,
    onTrouble(error) {
      const event = { 'event.name': 'zonegate.state', 'zonegate.part': 'sign-ins' };
      if (error === null && isFailing) log.info(event, 'the state store works again');
      if (error !== null && !isFailing) {
        const why = { ...event, 'error.message': error.message };
        log.error(why, 'the state store fails; it is tried again');
      }
      isFailing = error !== null;
    },
  });
}

async function readPair({ config, folder }: IdpZoneOptions): Promise<KeyPair> {
  const read = (file: string) => readFile(resolve(folder, file), 'utf8');
  return { certificate: await read(config.tls.certificate), key: await read(config.tls.key) };
}

async function renewCertificate(options: IdpZoneOptions, listener: Listener): Promise<void> {
  const { log, readiness } = options;
  try {
    listener.renew(await readPair(options));
    readiness.set('sign-in certificate', 'ok');
  } catch (error) {
    log.error({ err: error }, 'certificate not renewed, the old one stays in use');
    readiness.set('sign-in certificate', 'it could not be read again; the old one is in use');
  }
}

function openZones({ log, readiness }: IdpZoneOptions, telemetry: Telemetry): LiveZones {
  return createLiveZones(({ name, feed }, onChange) => {
    if (feed === null) return null;
    const failures = telemetry.feedFailures;
    const reader = createFeedReader({ zone: name, feed, onChange, failures, readiness, log });
    void reader.refresh();
    return reader;
  });
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
