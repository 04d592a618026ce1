// A running gateway in this process: real files, real reloads, free ports, its log and metrics, and devices to ask it.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mock } from 'node:test';
import { request } from 'undici';
import { loadEverything } from '../../cli/load.ts';
import type { Reload } from '../../cli/reloading.ts';
import { startProcess, type ZonegateProcess } from '../../cli/zonegate-process.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { formatIssue } from '../../runtime/issue.ts';
import { createLog } from '../../runtime/log.ts';
import {
  type Answer,
  type DeviceKeys,
  openTls,
  type TlsWire,
  type TlsWords,
  within,
} from './client.ts';
import {
  adminToken,
  type GatewayFolder,
  type GatewayWords,
  makeGatewayFolder,
} from './gateway-folder.ts';

export type LogLine = Readonly<Record<string, unknown>>;

/** What runs from one folder, as `zonegate serve` would run it. */
export interface RunningFolder extends AsyncDisposable {
  readonly folder: string;
  readonly process: ZonegateProcess;
  readonly adminPort: number;
  readonly logged: readonly LogLine[];
  /** The first line of the log, past or to come, for which this holds. */
  line(holds: (line: LogLine) => boolean, what: string): Promise<LogLine>;
  metric(series: string): Promise<number>;
  api(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ status: number; text: string }>;
  /** Writes the files and waits for the process to have noticed by itself. */
  edit(files: Readonly<Record<string, string>>): Promise<Reload>;
  text(file: string): Promise<string>;
}

export interface RunningGateway extends RunningFolder, Omit<GatewayFolder, keyof RunningFolder> {
  readonly port: number;
  readonly gateway: Gateway;
  /** What a client needs to open TLS to it as this device, or as nobody. */
  tls(keys: DeviceKeys | null): TlsWords;
  open(keys: DeviceKeys | null): Promise<TlsWire>;
  connect(keys: DeviceKeys | null, target: string, early?: string): Promise<Connected>;
}

export interface Connected extends TlsWire {
  /** The answer to CONNECT, with its body when the way was refused. */
  readonly reply: Answer;
}

/** The clock of this process, to be moved on by tests about time; whoever asks later sees it. */
export const clock = { ahead: 0 };
const realNow = Date.now;
mock.method(Date, 'now', () => realNow() + clock.ahead);

export async function startGateway(words: GatewayWords = {}): Promise<RunningGateway> {
  // A configuration that is refused must not leave the stand-ins running: the tests' process would never end.
  await using stack = new AsyncDisposableStack();
  const made = stack.use(await makeGatewayFolder(words));
  const running = stack.use(await runFolder(made.folder));
  const { gateway } = running.process;
  if (gateway === null) throw new Error('the configuration has no gateway');
  made.uem.setEventRecipient({
    url: `http://127.0.0.1:${running.adminPort}/webhooks/workspace-one/uem`,
    username: 'uem',
    password: 'webhook-password',
  });
  const { port } = gateway;
  const tls = (keys: DeviceKeys | null) => ({ port, ca: made.serverAuthority, keys });
  const owned = stack.move();
  return {
    ...made,
    ...running,
    gateway,
    port,
    tls,
    open: (keys) => openTls(tls(keys)),
    connect: async (keys, target, early) => connectOver(await openTls(tls(keys)), target, early),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export async function connectOver(wire: TlsWire, target: string, early = ''): Promise<Connected> {
  wire.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n${early}`);
  const head = await wire.head();
  const length = Number(head.fields.get('content-length') ?? 0);
  const reply = { ...head, body: await wire.bytes(length) };
  return { ...wire, reply };
}

export async function runFolder(folder: string, token = adminToken): Promise<RunningFolder> {
  const read = await loadEverything(join(folder, 'zonegate.yaml'));
  if (!read.ok) throw new Error(read.issues.map(formatIssue).join('\n'));
  const { logged, log, line } = captureLog(token);
  const running = await startProcess(read.all, log);
  running.readiness.set('lifecycle', 'ok');
  const admin = `http://127.0.0.1:${running.adminPort}`;
  return {
    folder,
    process: running,
    adminPort: running.adminPort,
    logged,
    line,
    async metric(series) {
      const { body } = await request(`${admin}/metrics`);
      const lines = (await body.text()).split('\n');
      const found = lines.find((one) => one.startsWith(`${series} `));
      if (found === undefined) throw new Error(`there is no metric ${series}`);
      return Number(found.slice(series.length));
    },
    async api(method, path, sent) {
      const authorization = `Bearer ${token}`;
      const options =
        sent === undefined ? { headers: { authorization } } : asJson(sent, authorization);
      const { statusCode, body } = await request(`${admin}${path}`, { method, ...options });
      return { status: statusCode, text: await body.text() };
    },
    async edit(files) {
      const { promise, resolve } = Promise.withResolvers<Reload>();
      running.onReload(resolve);
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      return await within(promise, 'a reload');
    },
    text: (file) => readFile(join(folder, file), 'utf8'),
    [Symbol.asyncDispose]: () => running.close(),
  };
}

function asJson(body: object, authorization: string) {
  const headers = { authorization, 'content-type': 'application/json' };
  return { headers, body: JSON.stringify(body) };
}

function captureLog(secret: string) {
  const logged: LogLine[] = [];
  const readers = new Set<() => void>();
  const stream = {
    write(line: string) {
      logged.push(JSON.parse(line) as LogLine);
      for (const reader of readers) reader();
    },
  };
  const line = async (holds: (line: LogLine) => boolean, what: string): Promise<LogLine> => {
    const { promise, resolve } = Promise.withResolvers<LogLine>();
    const look = () => {
      const found = logged.find(holds);
      if (found !== undefined) resolve(found);
    };
    readers.add(look);
    look();
    try {
      return await within(promise, `a log line: ${what}`);
    } finally {
      readers.delete(look);
    }
  };
  return { logged, line, log: createLog({ level: 'debug', secrets: [secret], stream }) };
}
