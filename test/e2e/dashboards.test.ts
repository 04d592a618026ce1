// The dashboards in deploy/grafana: a real Prometheus that scraped a real run has something to show in every panel.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { linesOf } from '../../cli/quickstart/lines.ts';
import { idpHost } from '../../cli/quickstart/templates.ts';
import { portsFrom } from '../../cli/quickstart.ts';
import { openTls } from '../support/client.ts';
import { connectOver } from '../support/gateway.ts';
import { findPortBase } from '../support/ports.ts';
import { program, root, run, startZonegate } from '../support/program.ts';
import { prometheusFolder, startPrometheus } from '../support/prometheus.ts';

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Nothing happens in these while all is well; all others have to move. */
const restsAtZero = [
  'Devices blocked',
  'Would be refused',
  'Let through by exceptions',
  'Faults, by stage',
  'Report-only checks of devices',
  'Report-only rules',
  'Sign-on decisions',
  'Sign-ons from blocked addresses',
  'TLS handshakes that failed',
  'Egress trouble',
  'No room',
  'Slowed',
  // The names of quickstart are static hosts.
  'Names looked up',
  'Workers and log',
];

const folder = join(root, 'deploy/grafana');
const dashboards = await Promise.all(
  (await readdir(folder)).map(
    async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Dashboard,
  ),
);
const panels = dashboards.flatMap(({ uid, panels }) =>
  panels.map((panel) => ({ ...panel, name: `${uid}: ${panel.title}` })),
);
const patienceMs = 90_000;

test('panels have numbers of their own, say what they show, and do not overlap', () => {
  assert.deepEqual(dashboards.map(({ uid }) => uid).toSorted(), [
    'zonegate-capacity',
    'zonegate-overview',
    'zonegate-refusals',
  ]);
  for (const { uid, panels } of dashboards) {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, uid);
    const taken = new Set<string>();
    for (const { title, description, gridPos } of panels) {
      assert.ok(description.length > 0, title);
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (const cell of cellsOf(gridPos)) {
        assert.ok(!taken.has(cell), `${uid}: ${title} lies on another panel`);
        taken.add(cell);
      }
    }
  }
});

test('every panel shows something, and every rule works', program('prometheus'), async () => {
  await using place = await startPlace();
  await using prometheus = await startPrometheus(place.adminPort);
  let empty: readonly string[] = [];
  for (const end = Date.now() + patienceMs; Date.now() < end; ) {
    await place.traffic();
    empty = await emptyPanels((expression) => prometheus.query(expression));
    if (empty.length === 0) break;
  }
  assert.deepEqual(empty, []);
  const rules = await prometheus.rules();
  assert.deepEqual(
    rules.filter(({ health }) => health !== 'ok'),
    [],
  );
  await checkNames(place.adminPort);
});

type Query = (expression: string) => Promise<readonly number[]>;

async function emptyPanels(query: Query): Promise<readonly string[]> {
  const empty: string[] = [];
  for (const { name, title, targets } of panels) {
    const values: number[] = [];
    for (const { expr } of targets) {
      const found = await query(filledIn(expr));
      if (found.length === 0) empty.push(`${name}: ${expr}`);
      values.push(...found);
    }
    const moves = values.some((value) => value > 0);
    if (!moves && !restsAtZero.includes(title)) empty.push(`${name}: stays at 0`);
  }
  return empty;
}

/** What Grafana puts in for its variables. */
function filledIn(expression: string): string {
  const filled = expression.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m');
  assert.ok(!filled.includes('$'), `a variable nobody fills in: ${expression}`);
  return filled;
}

/** A rule over a metric that does not exist is in good health, and never fires. */
async function checkNames(adminPort: number): Promise<void> {
  const page = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const known = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name));
  for (const name of await readdir(prometheusFolder)) {
    const text = await readFile(join(prometheusFolder, name), 'utf8');
    for (const [used] of text.matchAll(/(?<![\w:])(?:zonegate|nodejs|process)_\w+/g)) {
      assert.ok(known.has(used.replace(/_(bucket|sum|count)$/, '')), `${name}: ${used}`);
    }
  }
}

function cellsOf({ x, y, w, h }: Panel['gridPos']): readonly string[] {
  return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
}

/** A gateway with a sign-in service, as `quickstart` makes it, and devices that are let through, refused and cut. */
async function startPlace() {
  const home = await mkdtemp(join(tmpdir(), 'zonegate-dashboards-'));
  const base = await findPortBase();
  const ports = portsFrom(base);
  const running = startZonegate(
    'quickstart',
    '--state',
    join(home, 'state'),
    '--port-base',
    String(base),
  );
  const dispose = async () => {
    await running[Symbol.asyncDispose]();
    await rm(home, { recursive: true });
  };
  try {
    await running.shows('Ctrl-C stops it');
  } catch (error) {
    await dispose();
    throw error;
  }
  const file = (name: string) => readFile(join(home, 'state', name), 'utf8');
  const keys = {
    cert: await file('devices/compliant.pem'),
    key: await file('devices/compliant-key.pem'),
  };
  const ca = await file('certs/server-ca.pem');
  return {
    adminPort: ports.admin,
    /** Everything quickstart proposes; meanwhile a tunnel is open, which the change of posture cuts. */
    async traffic() {
      const wire = await openTls({ port: ports.device, ca, keys });
      const tunnel = await connectOver(wire, `${idpHost}:${ports.idp}`);
      assert.equal(tunnel.reply.status, 200);
      for (const { command, shows } of linesOf({ folder: 'state', ports })) {
        const { stdout } = await run('bash', ['-c', command], { cwd: home });
        assert.ok(stdout.includes(shows), command);
        // An event is a hint: by the time the UEM is asked, it must not have changed its mind.
        if (command.includes('NonCompliant')) await tunnel.rest();
      }
      tunnel.socket.destroy();
    },
    [Symbol.asyncDispose]: dispose,
  };
}
