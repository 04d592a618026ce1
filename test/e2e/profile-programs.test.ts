// What the produced profiles mean to the programs they are for: curl, git, apt, a shell, and a second engine for PAC files.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { targetsAround } from '../../dtr-rules/boundaries.ts';
import { type KindName, makeProfile } from '../../dtr-rules/profiles/kinds.ts';
import { pacQuestions } from '../../dtr-rules/profiles/pac.ts';
import { runPac } from '../../gateway/edge/run-pac.ts';
import { facts } from '../dtr-rules/profiles/facts.ts';
import { ruleSet } from '../dtr-rules/rule-file.ts';
import { type ProfileLab, startProfileLab } from '../support/profile-lab.ts';
import { program, run } from '../support/program.ts';

const stack = new AsyncDisposableStack();
let lab: ProfileLab;

before(async () => {
  lab = stack.use(await startProfileLab());
});
after(() => stack.disposeAsync());

/** Where a page says its visitor came from. */
async function curl(name: string, ...args: readonly string[]): Promise<string> {
  const site = join(lab.folder, 'site-ca.pem');
  await writeFile(site, lab.siteAuthority);
  const port = new URL(lab.url(name)).port;
  const own = ['-sS', '--cacert', site, '--resolve', `direct.lab.test:${port}:127.0.0.1`];
  const { stdout, stderr } = await run('curl', [...args, ...own, lab.url(name)]);
  return stdout || stderr;
}

test('curl goes the way its profile says', program('curl'), async () => {
  const config = await lab.profile('curl', 'curlrc');
  assert.equal(await curl('up', '-q', '-K', config), 'came from 127.0.0.10');
  assert.equal(await curl('direct', '-q', '-K', config), 'came from 127.0.0.1');
  assert.match(await curl('blocked', '-q', '-K', config), /response 403/);
  assert.deepEqual(lab.decided('direct'), []);
});

test('a shell that has read its profile hands it to what it starts', program('curl'), async () => {
  const file = await lab.profile('env', 'zonegate.sh');
  const { stdout } = await run('sh', [
    '-c',
    `. ${file}; echo "$https_proxy $HTTP_PROXY $no_proxy"`,
  ]);
  const gateway = `https://127.0.0.1:${lab.gateway.port}`;
  assert.equal(stdout, `${gateway} ${gateway} direct.lab.test\n`);
});

test('git reads its profile as it is meant', program('git'), async () => {
  const file = await lab.profile('git', 'gitconfig');
  const proxyFor = async (url: string) =>
    (await run('git', ['config', '-f', file, '--get-urlmatch', 'http.proxy', url])).stdout.trim();
  const gateway = `https://127.0.0.1:${lab.gateway.port}`;
  assert.equal(await proxyFor('https://blocked.lab.test/a/b.git'), gateway);
  assert.equal(await proxyFor('https://other.test/'), '');
  assert.equal(await proxyFor('https://direct.lab.test/'), '');
});

test('apt reads its profile as it is meant', program('apt-config'), async () => {
  const file = await lab.profile('apt', '90zonegate');
  const { stdout } = await run('apt-config', ['-c', file, 'dump']);
  assert.ok(
    stdout.includes(
      `Acquire::https::Proxy::blocked.lab.test "https://127.0.0.1:${lab.gateway.port}";\n`,
    ),
  );
  assert.ok(stdout.includes(`Acquire::https::SslCert "${lab.files.certificate}";\n`));
});

const awkward = { issuer: 'Zürich "CA" \\ <&> \u{1f512}', agent: { host: '::1', port: 3128 } };

function contentOf(kind: KindName, name: string): string {
  const input = { app: null, now: 0, facts: { ...facts, ...awkward }, runPac };
  const { files } = makeProfile(kind, ruleSet('TUNNEL .a.test', 'BYPASS *'), input);
  return String(files.find((file) => file.name === name)?.content);
}

test('whatever is XML is XML to another reader', program('xmllint'), async () => {
  for (const [kind, name, path, expected] of [
    ['apple-relay', 'zonegate.mobileconfig', 'count(/plist/dict/key)', '8'],
    ['chrome-plist', 'com.google.Chrome.plist', 'name(/plist/dict/dict/false|//true)', 'true'],
    ['edge-plist', 'com.microsoft.Edge.plist', 'string(//array/string)', select],
    ['windows', 'networkproxy.xml', 'string((//*[local-name()="Data"])[3])', csp],
  ] as const) {
    const file = join(lab.folder, name);
    await writeFile(file, contentOf(kind, name));
    const words = ['--nonet', '--noout', '--xpath', path, file];
    const { code, stdout, stderr } = await run('xmllint', words);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim(), expected, name);
  }
});
const csp = 'http://[::1]:3128/zonegate.pac';
const select = JSON.stringify({
  pattern: 'https://gw.example.net:8443',
  filter: { ISSUER: { CN: awkward.issuer } },
});

test(
  'a second engine answers what the first answers, at every boundary',
  program('duk'),
  async () => {
    const everyKind = ruleSet(
      'TUNNEL api-*,*.example.test,.apex.test:443,*:8000-9000',
      'BYPASS *word*a*,10.0.0.0/8:443,[2001:db8::/32]',
      'BLOCK 0.0.0.0/0,__proto__,*tenant.test',
    );
    const [made] = makeProfile('pac', everyKind, { app: null, now: 0, facts, runPac }).files;
    const own = await readFile(await lab.profile('pac', 'zonegate.pac'), 'utf8');
    for (const text of [own, String(made?.content)]) {
      const questions = targetsAround([everyKind.set]).flatMap(pacQuestions).toArray();
      questions.push(['https://[::1%25x]/', '[::1%25x]'], ['x', ''], ['https://a../', 'a..']);
      const script = `${text}
var questions = ${JSON.stringify(questions)}, answers = [], i;
for (i = 0; i < questions.length; i += 1) answers.push(FindProxyForURL(questions[i][0], questions[i][1]));
print(JSON.stringify(answers));
`;
      const file = join(lab.folder, 'script.js');
      await writeFile(file, script);
      const { stdout, stderr } = await run('duk', [file]);
      assert.equal(stderr, '');
      const find = runPac(text);
      assert.deepEqual(
        JSON.parse(stdout),
        questions.map(([url, host]) => find(url, host)),
      );
    }
  },
);
