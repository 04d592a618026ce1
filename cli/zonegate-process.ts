// One running process: admin server, gateway and idp-zone from one configuration, reloaded whole when a file changes.

import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createGateway, type Gateway } from '../gateway/gateway.ts';
import { createIdpZone, type IdpZone } from '../idp-zone/idp-zone.ts';
import { createAdmin, problem } from '../runtime/admin.ts';
import { formatIssue, type PlacedIssue } from '../runtime/issue.ts';
import type { Part } from '../runtime/lifecycle.ts';
import type { Log } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { createReadiness, type Readiness } from '../runtime/readiness.ts';
import { type FileWatch, watchFiles } from '../runtime/watch.ts';
import { type Everything, loadEverything } from './load.ts';

export type Reload =
  | { readonly ok: true; readonly restartNeeded: readonly string[] }
  | { readonly ok: false; readonly issues: readonly PlacedIssue[] };

export interface ZonegateProcess {
  readonly gateway: Gateway | null;
  readonly idp: IdpZone | null;
  readonly adminPort: number;
  readonly readiness: Readiness;
  readonly parts: readonly Part[];
  reload(): Promise<Reload>;
  /** Called after every reload, whoever asked for it. */
  onReload(listener: (reload: Reload) => void): void;
  close(): Promise<void>;
}

const watchDebounceMs = 100;

export async function startProcess(all: Everything, log: Log): Promise<ZonegateProcess> {
  const opened: Part[] = [];
  try {
    return await open(all, log, opened);
  } catch (error) {
    // A busy port must not leave half a process behind.
    for (const part of opened.toReversed()) await part.close();
    throw error;
  }
}

async function open(all: Everything, log: Log, opened: Part[]): Promise<ZonegateProcess> {
  const metrics = createMetrics();
  const readiness = createReadiness();
  const listeners: ((reload: Reload) => void)[] = [];

  const gateway =
    all.gateway && (await createGateway({ loaded: all.gateway, log, metrics, readiness }));
  if (gateway !== null) opened.push(partOf('gateway', gateway));

  const { listen, tokens, hosts } = all.common.admin;
  const admin = await createAdmin({
    listen,
    tokens,
    hosts,
    metrics,
    readiness,
    log,
    routes(app) {
      gateway?.routes(app);
      app.post('/reload', async () => answerReload(await reload()));
    },
    webhooks: (app) => gateway?.webhooks(app),
  });
  opened.push(partOf('admin', admin));
  gateway?.protect(admin.port);

  const { folder } = all;
  const idp = all.idp && (await createIdpZone({ ...all.idp, folder, log, metrics, readiness }));
  if (idp !== null) opened.push(partOf('idp-zone', idp));

  let watch: FileWatch | null = null;
  let inputs: readonly string[] = [];
  const watchInputs = (wanted: readonly string[]): void => {
    if (watch !== null && wanted.join() === inputs.join()) return;
    watch?.close();
    inputs = wanted;
    watch = watchFiles(wanted, () => void reload(), { debounceMs: watchDebounceMs });
  };
  watchInputs(all.inputs);
  opened.push({ name: 'file watch', close: async () => watch?.close() });

  // Invariant: nothing is swapped before everything was read, compiled and tested.
  const reload = serially(async (): Promise<Reload> => {
    const read = await loadEverything(all.file);
    if (!read.ok) {
      const [first] = read.issues;
      const lines = read.issues.map(formatIssue);
      gateway?.refusedReload(first === undefined ? 'unreadable' : summary(first));
      log.error(
        { 'event.name': 'zonegate.reload', 'zonegate.issues': lines },
        'configuration not reloaded',
      );
      return { ok: false, issues: read.issues };
    }
    const replaced = read.all.gateway === null ? [] : (gateway?.replace(read.all.gateway) ?? []);
    const needed = [...replaced, ...readOnce(all, read.all)];
    if (read.all.idp !== null) idp?.update(read.all.idp.policy);
    if (needed.length > 0)
      log.warn({ 'zonegate.settings': needed }, 'these settings wait for a restart');
    watchInputs(read.all.inputs);
    return { ok: true, restartNeeded: needed };
  }, listeners);

  return {
    gateway,
    idp,
    readiness,
    reload,
    adminPort: admin.port,
    // Sign-in stops last: draining tunnels may still need it.
    parts: [...opened],
    onReload: (listener) => void listeners.push(listener),
    async close() {
      for (const part of opened.toReversed()) await part.close();
    },
  };
}

/** Readiness is open to everybody who can reach it: no paths of this machine. */
function summary(issue: PlacedIssue): string {
  return formatIssue({ ...issue, file: basename(issue.file) });
}

/** Parts of the configuration that are read at the start only and differ now. */
function readOnce(before: Everything, after: Everything): readonly string[] {
  const once = ({ common, gateway }: Everything): Record<string, unknown> => ({
    admin: common.admin,
    log: common.log,
    idp: common.idp,
    gateway: gateway !== null,
  });
  const now = once(after);
  return Object.entries(once(before))
    .filter(([key, value]) => !isDeepStrictEqual(value, now[key]))
    .map(([key]) => key);
}

/** One reload at a time, in order; every caller and every listener gets the outcome. */
function serially(run: () => Promise<Reload>, listeners: ((reload: Reload) => void)[]) {
  let last: Promise<unknown> = Promise.resolve();
  return (): Promise<Reload> => {
    const next = last.then(run).then((outcome) => {
      for (const listener of listeners) listener(outcome);
      return outcome;
    });
    last = next.catch(() => undefined);
    return next;
  };
}

function answerReload(reload: Reload): Response {
  if (reload.ok) return Response.json({ restart_needed: reload.restartNeeded });
  const errors = reload.issues.map((issue) => ({
    detail: formatIssue(issue),
    pointer: `/${issue.path.join('/')}`,
  }));
  return problem(
    422,
    'Unprocessable Content',
    'the configuration has issues; nothing changed',
    errors,
  );
}

function partOf(
  name: string,
  part: { drain?: (signal: AbortSignal) => Promise<void>; close(): Promise<void> },
): Part {
  const { drain } = part;
  return drain === undefined
    ? { name, close: () => part.close() }
    : { name, drain: (signal) => drain(signal), close: () => part.close() };
}
