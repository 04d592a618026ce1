// The folder quickstart makes: whole or not at all, never over something else, and told in plain words.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { UsageError } from '../../cli/output.ts';
import { makeFolder } from '../../cli/quickstart/folder.ts';
import { signOnYaml } from '../../cli/quickstart/templates.ts';
import { parseSignOn } from '../../idp-zone/config/parse.ts';
import { runSignOnTests } from '../../idp-zone/decision/run-tests.ts';
import { compileZones } from '../../idp-zone/decision/zone.ts';

const ports = { device: 1, idp: 3, admin: 4, uem: 5 };

async function homeOf(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'zonegate-folder-'));
  context.after(() => rm(home, { recursive: true }));
  return home;
}

async function refusalOf(folder: string): Promise<string> {
  const steps: string[] = [];
  const progress = (done: string) => void steps.push(done);
  const error = await makeFolder({ folder, ports, progress }).catch((error: unknown) => error);
  assert.ok(error instanceof UsageError, String(error));
  assert.deepEqual(steps, [], 'nothing was made first');
  return error.message;
}

test('a folder with something else in it is left as it is', async (context) => {
  const home = await homeOf(context);
  const folder = join(home, 'state');
  await mkdir(folder);
  await writeFile(join(folder, 'thesis.txt'), 'mine');
  assert.equal(
    await refusalOf(folder),
    `the folder ${folder} has something in it, but no zonegate.yaml; name another one with --state`,
  );
  assert.deepEqual(await readdir(folder), ['thesis.txt']);
  assert.deepEqual(await readdir(home), ['state']);
});

test('a file in the place of the folder, or on the way to it, is told', async (context) => {
  const home = await homeOf(context);
  const file = join(home, 'file');
  await writeFile(file, 'mine');
  for (const folder of [file, join(file, 'state'), join(file, 'deep', 'state')]) {
    const message = await refusalOf(folder);
    assert.ok(message.startsWith(`cannot make the folder ${folder}: there is a file `), message);
    assert.ok(message.endsWith('; name another one with --state'), message);
  }
  assert.equal(await readFile(file, 'utf8'), 'mine');
});

test('a place that cannot be written to is told', {
  skip: process.platform !== 'linux',
}, async () => {
  // Nobody can make a folder there, root included.
  const message = await refusalOf('/sys/zonegate-state');
  assert.match(
    message,
    /^cannot make the folder \/sys\/zonegate-state: .* (?:write|written) there; name/,
  );
});

test('of two that make the same folder at once one does, and the other uses it', async (context) => {
  const home = await homeOf(context);
  const folder = join(home, 'state');
  const steps: string[] = [];
  const make = () => makeFolder({ folder, ports, progress: (done) => void steps.push(done) });
  const made = await Promise.all([make(), make()]);
  assert.deepEqual(made.toSorted(), [false, true]);
  assert.deepEqual(await readdir(home), ['state'], 'no draft stays');
  assert.equal(await make(), false);
  const certificates = (await readdir(join(folder, 'devices'))).filter((n) => !n.includes('-key'));
  assert.equal(certificates.length, 5);
  const said =
    'a device authority, 4 device certificates and one of another authority, a revocation list';
  assert.ok(steps.includes(said));
});

test('after the last sign-on rule everybody is denied, as the file says', () => {
  const text = signOnYaml();
  assert.match(text.replaceAll('\n# ', ' '), /after the last rule everybody is denied/);
  const { rules, ...rest } = parse(text) as { rules: { name: string }[] };
  const kept = rules.filter(({ name }) => name !== 'everybody else');
  assert.equal(kept.length, rules.length - 1);
  const file = parseSignOn({ ...rest, rules: kept });
  assert.ok(file.ok);
  const zones = compileZones([]);
  assert.deepEqual(runSignOnTests(file.value, zones, { locate: null, now: 0 }), []);
});
