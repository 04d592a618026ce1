// Every command in the documentation, run as it is printed, and held against the output printed below it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Block, blocksOf, documents, root } from '../docs/markdown.ts';
import { program, run, startZonegate } from '../support/program.ts';

for (const { file, text } of await documents()) {
  const commands = commandsOf(blocksOf(text));
  if (commands.length === 0) continue;
  const { skip } = [program('curl'), program('openssl')].find((one) => one.skip !== false) ?? {
    skip: false,
  };
  test(`the commands in ${file} do what it says`, { skip }, async () => {
    await using place = await createPlace();
    for (const { command, output, line } of commands) {
      const { code, stdout, stderr } = await runUntil(place, command, output);
      const where = `${file}:${line}: ${command}`;
      // `explain` and a search that finds nothing say so with 1; then the output tells whether that is right.
      assert.ok(
        code === 0 || (code === 1 && output !== null),
        `${where} exits with ${code}: ${stderr}`,
      );
      if (output !== null) assert.match(stdout.replaceAll('\r', ''), patternOf(output), where);
    }
  });
}

/** A person takes a moment between two commands, and the log its tenth of a second: ask a few times. */
async function runUntil(place: Place, command: string, output: string | null) {
  for (let tries = 1; ; tries += 1) {
    const result = await place.run(command);
    if (output === null || tries === 10 || patternOf(output).test(result.stdout)) return result;
  }
}

test('an output block with an ellipsis leaves out, and one without does not', () => {
  assert.match('a 12 b\nc\nd', patternOf('a 7 b\n…\nd\n'));
  assert.doesNotMatch('a b\nc\nd', patternOf('a b\nd\n'));
});

interface Command {
  readonly command: string;
  readonly output: string | null;
  readonly line: number;
}

function commandsOf(blocks: readonly Block[]): readonly Command[] {
  return blocks.flatMap((block, i) => {
    const next = blocks[i + 1];
    const output = next?.kind === 'output' ? next.text : null;
    return block.kind === 'sh' ? [{ command: block.text.trim(), output, line: block.line }] : [];
  });
}

/** `…` stands for anything; numbers, ports and line numbers among them, may differ. */
function patternOf(output: string): RegExp {
  const parts = output.trim().split(/…\n?/);
  const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const literal = (text: string) => text.split(/\d+/).map(escaped).join('\\d+');
  return new RegExp(parts.map(literal).join('[\\s\\S]*?'));
}

type Place = Awaited<ReturnType<typeof createPlace>>;

/** A folder that looks like the repository, with a quickstart running in it on ports of its own. */
async function createPlace() {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-docs-'));
  for (const name of await readdir(root)) {
    if (name !== 'state' && name !== '.git') await symlink(join(root, name), join(folder, name));
  }
  const { base, quickstart } = await startQuickstart(join(folder, 'state'));
  return {
    async run(command: string) {
      if (command === 'npm start') return { code: 0, stdout: quickstart.stdout(), stderr: '' };
      const moved = command.replace(
        /:844([3-7])\b/g,
        (_, digit: string) => `:${base + Number(digit) - 3}`,
      );
      return await run('bash', ['-c', await withoutInstall(moved)], { cwd: folder });
    },
    async [Symbol.asyncDispose]() {
      await quickstart[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

async function startQuickstart(state: string, attempts = 3) {
  const base = await freePorts();
  const quickstart = startZonegate('quickstart', '--state', state, '--port-base', String(base));
  try {
    await quickstart.shows('Ctrl-C stops it');
    return { base, quickstart };
  } catch (error) {
    await quickstart[Symbol.asyncDispose]();
    // Somebody else may have taken one of the ports since.
    if (attempts === 1) throw error;
    await rm(state, { recursive: true, force: true });
    return await startQuickstart(state, attempts - 1);
  }
}

/** npm would look after the installation first; here it is there, and other tests use it. */
async function withoutInstall(command: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  return command
    .replace(
      /^npm run (?:-s )?([\w:]+)(?: --)?/gm,
      (_, name: string) => manifest.scripts[name] ?? 'false',
    )
    .replace(/^node scripts\/run\.mjs/gm, () => `'${process.execPath}'`);
}

/** The first of five ports in a row that nobody uses. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = await listenOn(0);
    const rest = await Promise.allSettled([2, 3, 4].map((more) => listenOn(first.port + more)));
    await first.close();
    for (const one of rest) if (one.status === 'fulfilled') await one.value.close();
    if (first.port <= 65_000 && rest.every(({ status }) => status === 'fulfilled'))
      return first.port;
  }
}

async function listenOn(port: number) {
  const server = net.createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    async close() {
      await once(server.close(), 'close');
    },
  };
}
