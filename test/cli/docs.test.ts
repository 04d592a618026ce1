// The documentation says what the program does: tables, examples, links, commands.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { compileRules } from '../../dtr-rules/compile.ts';
import { parseRuleFile } from '../../dtr-rules/parse.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { gatewaySchema } from '../../gateway/config/config.ts';
import { parseInventory } from '../../gateway/posture/inventory.ts';
import { idpSection, parseSignOn, parseZones } from '../../idp-zone/config/parse.ts';
import { parseWith } from '../../runtime/schema.ts';
import { configurationFiles } from '../../scripts/docs/configuration.ts';
import { stages } from '../../scripts/docs/reasons.ts';
import { generateDocs } from '../../scripts/docs.ts';
import { anchorsOf, blocksOf, documents, linksOf, root } from '../docs/markdown.ts';

test('the generated parts of docs/ are what the program would generate now', async () => {
  for (const { file, before, after } of await generateDocs()) {
    assert.equal(before, after, `${file} is stale: run \`node scripts/docs.ts\``);
  }
});

test('docs/configuration.md has every key of every file, and every key has a sentence', async () => {
  const text = await readFile(join(root, 'docs/configuration.md'), 'utf8');
  for (const [file, { keys, meanings }] of Object.entries(configurationFiles())) {
    const paths = new Set(keys.map(({ path }) => path));
    for (const path of paths) assert.ok(text.includes(`\n| \`${path}\` |`), `${file}: ${path}`);
    for (const path of Object.keys(meanings))
      assert.ok(paths.has(path), `no key \`${path}\` in ${file}`);
  }
});

test('docs/reasons.md has every stage of the gateway', async () => {
  const text = await readFile(join(root, 'docs/reasons.md'), 'utf8');
  for (const stage of stages()) assert.ok(text.includes(`generated: reasons ${stage} `), stage);
});

test('every YAML block in the documentation is one that the program accepts', async () => {
  for (const { file, text } of await documents()) {
    for (const block of blocksOf(text).filter(({ kind }) => kind === 'yaml')) {
      const [, name = 'dtr.yaml'] = /^# (\S+\.yaml)/.exec(block.text) ?? [];
      assert.deepEqual(issuesOf(name, parse(block.text)), [], `${file}:${block.line}`);
    }
  }
});

test('every link leads to a file and a heading that are there', async () => {
  const texts = new Map((await documents()).map(({ file, text }) => [file, text]));
  for (const [file, text] of texts) {
    for (const link of linksOf(text)) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : join(dirname(file), path);
      assert.ok(existsSync(join(root, target)), `${file} links to ${link}`);
      if (anchor === undefined) continue;
      assert.ok(anchorsOf(texts.get(target) ?? '').includes(anchor), `${file} links to ${link}`);
    }
  }
});

test('every npm command in the documentation is one that package.json has', async () => {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const known = Object.keys(manifest.scripts);
  for (const { file, text } of await documents()) {
    for (const [, script = ''] of text.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)) {
      assert.ok(known.includes(script), `${file}: npm run ${script}`);
    }
  }
});

function issuesOf(name: string, value: unknown): readonly unknown[] {
  switch (name) {
    case 'dtr.yaml': {
      const parsed = parseRuleFile(value);
      return parsed.ok
        ? runRuleTests(parsed.value, compileRules(parsed.value), Date.now())
        : parsed.issues;
    }
    case 'zones.yaml':
      return issuesIn(parseZones(value));
    case 'sign-on.yaml':
      return issuesIn(parseSignOn(value));
    case 'inventory.yaml':
      return issuesIn(parseInventory(value));
    case 'zonegate.yaml': {
      // A part of the file: what is wrong with the parts that are not shown is no concern of it.
      const shown = Object.keys(value as object);
      if (shown.join() === 'idp') {
        const issues = issuesIn(parseWith(idpSection)((value as { readonly idp: unknown }).idp));
        return issues.filter(({ message }) => !message.includes('missing'));
      }
      const issues = issuesIn(parseWith(gatewaySchema())(value));
      return issues.filter(
        ({ path, message }) => shown.includes(String(path[0])) || !message.includes('missing'),
      );
    }
    default:
      return [`there is no file \`${name}\``];
  }
}

function issuesIn(
  parsed:
    | { readonly ok: true }
    | {
        readonly ok: false;
        readonly issues: readonly { path: readonly unknown[]; message: string }[];
      },
) {
  return parsed.ok ? [] : parsed.issues;
}
