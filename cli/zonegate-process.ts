// One running process: admin server, gateway and idp-zone from one configuration, reloaded whole when a file changes.

import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DevicePorts, Gateway } from '../gateway/gateway.ts';
import { createIdpZone, type IdpZone } from '../idp-zone/idp-zone.ts';
import { createAdmin, problem } from '../runtime/admin.ts';
import { formatIssue, type PlacedIssue } from '../runtime/issue.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { countLostLines, hideSecrets, type Log } from '../runtime/log.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { createReadiness, type Readiness } from '../runtime/readiness.ts';
import { openStore } from '../runtime/state/state.ts';
import { type Everything, secretsOf } from './load.ts';
import { createReloading, type Reload } from './reloading.ts';
import { openDeviceSide } from './workers/device-side.ts';

export interface ZonegateProcess {
  /** The gateway in this process; null where there is none, or workers carry the connections. */
  readonly gateway: Gateway | null;
  readonly devices: DevicePorts | null;
  readonly idp: IdpZone | null;
  readonly adminPort: number;
  readonly readiness: Readiness;
  readonly parts: readonly Part[];
  reload(): Promise<Reload>;
  /** Called after every reload, whoever asked for it. */
  onReload(listener: (reload: Reload) => void): void;
  close(): Promise<void>;
}

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
  countLostLines(log, metrics);

  const counters = {
    restarts: metrics.counter(
      'zonegate_worker_restarts_total',
      'Worker processes that ended and were replaced.',
    ),
    hangs: metrics.counter(
      'zonegate_worker_hangs_total',
      'Worker processes that did nothing any more and were ended.',
    ),
  };
  const { file, folder } = all;
  const { workers } = all.common;
  const store = await openStore(all.state);
  const statePart = partOf('state', store);
  opened.push(statePart);
  const devices =
    all.gateway &&
    (await openDeviceSide({
      file,
      workers,
      loaded: all.gateway,
      store,
      log,
      metrics,
      readiness,
      counters,
    }));
  if (devices !== null) opened.push(partOf('gateway', devices));

  const { listen, tokens, hosts } = all.common.admin;
  let idp: IdpZone | null = null;
  const admin = await createAdmin({
    listen,
    tokens,
    hosts,
    metrics: devices === null ? metrics : { ...metrics, text: () => devices.metricsText() },
    readiness,
    log,
    routes(app) {
      devices?.routes(app);
      app.post('/reload', async () => answerReload(await reloading.reload()));
      app.post('/policies/simulate', async ({ req }) => answerSimulation(idp, await req.text()));
    },
    webhooks: (app) => devices?.webhooks(app),
  });
  opened.push(partOf('admin', admin));
  devices?.protect(admin.port);

  const shared = { folder, state: store, log, metrics, readiness };
  idp = all.idp && (await createIdpZone({ ...all.idp, ...shared }));
  if (idp !== null) opened.push(partOf('idp-zone', idp));

  const idpAlone = devices === null ? policyOfIdp(metrics, readiness) : null;
  const reloading = createReloading({
    file,
    inputs: all.inputs,
    async apply(next) {
      hideSecrets(log, secretsOf(next));
      if (next.idp !== null) idp?.update(next.idp.policy);
      const replaced = next.gateway === null ? [] : ((await devices?.reload(next.gateway)) ?? []);
      idpAlone?.reloaded();
      const needed = [...replaced, ...readOnce(all, next)];
      if (needed.length > 0) {
        log.warn({ 'zonegate.settings': needed }, 'these settings wait for a restart');
      }
      return needed;
    },
    refused(issues) {
      const [first] = issues;
      const why = first === undefined ? 'unreadable' : summary(first);
      (devices ?? idpAlone)?.refusedReload(why);
      const lines = issues.map(formatIssue);
      log.error(
        { 'event.name': 'zonegate.reload', 'zonegate.issues': lines },
        'configuration not reloaded',
      );
    },
  });
  opened.push({ name: 'reloading', close: async () => reloading.close() });

  return {
    gateway: devices?.gateway ?? null,
    devices,
    idp,
    readiness,
    reload: () => reloading.reload(),
    adminPort: admin.port,
    // Sign-in stops last: draining tunnels may still need it. All of them may still write.
    parts: [...opened.filter((part) => part !== statePart), statePart],
    onReload: (listener) => reloading.onReload(listener),
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
    workers: common.workers,
    log: common.log,
    state: common.state,
    idp: common.idp,
    gateway: gateway !== null,
  });
  const now = once(after);
  return Object.entries(once(before))
    .filter(([key, value]) => !isDeepStrictEqual(value, now[key]))
    .map(([key]) => key);
}

/** What says which configuration is in force where there is no gateway to say it. */
function policyOfIdp(metrics: Metrics, readiness: Readiness) {
  readiness.set('policy', 'ok');
  const reloads = metrics.counterBy(
    'zonegate_config_reloads_total',
    'Reloads of the configuration, by result.',
    'result',
    ['ok', 'failed'],
  );
  return {
    reloaded(): void {
      reloads.ok.inc();
      readiness.set('policy', 'ok');
    },
    refusedReload(summary: string): void {
      reloads.failed.inc();
      readiness.set('policy', `the changed configuration is not in force: ${summary}`);
    },
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

function answerSimulation(idp: IdpZone | null, text: string): Response {
  if (idp === null) return problem(404, 'Not Found', 'no sign-in service runs here');
  const simulation = idp.simulate(readJson(text));
  if (!simulation.ok) return problem(400, 'Bad Request', simulation.trouble);
  return Response.json({ evaluation: simulation.evaluation });
}

/** What is not JSON is nothing, and not a question either. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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
