// The import rules of the architecture: the linter must refuse a planted violation of each.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Violation {
  readonly what: string;
  readonly file: string;
  readonly code: string;
  readonly rule: string;
}

const imports = (from: string) => `import { x } from '${from}';\n\nexport const y = x;\n`;
const violations: readonly Violation[] = [
  {
    what: 'a decision reads the clock',
    file: 'gateway/decision/planted.ts',
    code: 'export const now = Date.now();\n',
    rule: 'noRestrictedGlobals',
  },
  {
    what: 'a decision imports a Node module',
    file: 'gateway/decision/planted.ts',
    code: imports('node:net'),
    rule: 'noNodejsModules',
  },
  {
    what: 'a decision imports its edge',
    file: 'gateway/decision/planted.ts',
    code: imports('../edge/dial.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'a decision imports runtime',
    file: 'idp-zone/decision/planted.ts',
    code: imports('../../runtime/log.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'the rule language imports the gateway',
    file: 'dtr-rules/planted.ts',
    code: imports('../gateway/errors.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'a folder of the rule language imports the gateway',
    file: 'dtr-rules/cover/planted.ts',
    code: imports('../../gateway/errors.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'an edge imports the configuration',
    file: 'gateway/edge/planted.ts',
    code: imports('../config/config.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'an edge imports idp-zone',
    file: 'gateway/edge/planted.ts',
    code: imports('../../idp-zone/idp-zone.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'the gateway imports idp-zone',
    file: 'gateway/planted.ts',
    code: imports('../idp-zone/idp-zone.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'idp-zone imports the gateway',
    file: 'idp-zone/planted.ts',
    code: imports('../gateway/gateway.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'runtime imports the gateway',
    file: 'runtime/planted.ts',
    code: imports('../gateway/gateway.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'runtime imports more of the rule language than addresses',
    file: 'runtime/planted.ts',
    code: imports('../dtr-rules/rule.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'the product imports its tests',
    file: 'cli/planted.ts',
    code: imports('../test/support/pki.ts'),
    rule: 'noRestrictedImports',
  },
  {
    what: 'an edge makes metrics by itself',
    file: 'gateway/edge/planted.ts',
    code: imports('prom-client'),
    rule: 'noRestrictedImports',
  },
];

test('the linter refuses every import that points the wrong way', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zonegate-borders-'));
  try {
    for (const name of ['biome.json', 'package.json', 'node_modules']) {
      symlinkSync(join(root, name), join(folder, name));
    }
    for (const [index, { file, code }] of violations.entries()) {
      const planted = join(folder, file.replace('planted', `planted-${index}`));
      mkdirSync(dirname(planted), { recursive: true });
      writeFileSync(planted, code);
    }
    const found = lint(folder);
    for (const [index, { what, rule }] of violations.entries()) {
      const name = `planted-${index}.ts`;
      const caught = found.some((one) => one.file.endsWith(name) && one.rule.endsWith(`/${rule}`));
      assert.ok(caught, `${what}: not refused by ${rule}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function lint(folder: string): readonly { readonly file: string; readonly rule: string }[] {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '.'];
  const { stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  const report = JSON.parse(stdout) as {
    diagnostics: { category: string; location: { path: string | { file: string } } }[];
  };
  return report.diagnostics.map(({ category, location: { path } }) => ({
    rule: category,
    file: typeof path === 'string' ? path : path.file,
  }));
}
