// Owns writing imported rules as a commented rule file, and their proxies as a piece of zonegate.yaml.

import type { ImportedTest } from './expectations.ts';
import type { Imported, ImportedRule, ImportedSet, ImportedUpstream, Loss } from './imported.ts';

export function writeRuleFile(
  imported: Imported,
  tests: readonly ImportedTest[],
  from: string,
): string {
  const { applications, sets, losses, upstreams } = imported;
  return [
    `# Imported from ${from}. Before it is used: zonegate rules lint, zonegate rules test,`,
    '# and zonegate rules diff with the rules in force.',
    ...(losses.length === 0
      ? []
      : ['#', '# Not carried over, or not as it was:', ...losses.flatMap(lossLines)]),
    ...(upstreams.length === 0
      ? []
      : ['#', '# For zonegate.yaml:', ...upstreamLines(upstreams).map((line) => `#   ${line}`)]),
    '',
    ...(applications.length === 0 ? [] : ['applications:']),
    ...applications.map(
      ({ name, kind, identifier }) => `  ${word(name)}: { ${kind}: ${quote(identifier)} }`,
    ),
    ...(applications.length === 0 ? [] : ['']),
    'ruleSets:',
    ...sets.flatMap(setLines),
    ...(tests.length === 0 ? [] : ['', 'tests:', ...tests.flatMap(testLines)]),
    '',
  ].join('\n');
}

export function upstreamLines(upstreams: readonly ImportedUpstream[]): readonly string[] {
  return [
    'upstreams:',
    ...upstreams.flatMap(({ name, host, port, username, passwordVariable }) => {
      const prefix = passwordVariable?.replace(/_PASSWORD$/, '_USERNAME') ?? '';
      const user = username === '' ? `"\${env:${prefix}}"` : quote(username ?? '');
      const signIn =
        passwordVariable === null
          ? ''
          : `, username: ${user}, password: "\${env:${passwordVariable}}"`;
      return [`  ${word(name)}: { host: ${quote(host)}, port: ${port}${signIn} }`];
    }),
  ];
}

function lossLines({ place, what, todo }: Loss): readonly string[] {
  return [`#   ${plain(place)}: ${plain(what)}`, `#     ${plain(todo)}`];
}

/** A comment ends at the line's end, whatever the input holds. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function setLines({
  name,
  mode,
  platforms,
  groups,
  defaultAction,
  rules,
}: ImportedSet): readonly string[] {
  const assign = [
    ...(platforms === null ? [] : [`platforms: ${list(platforms)}`]),
    ...(groups === null ? [] : [`groups: ${list(groups)}`]),
  ];
  return [
    `  - name: ${quote(name)}`,
    `    mode: ${mode}`,
    ...(assign.length === 0 ? [] : [`    assign: { ${assign.join(', ')} }`]),
    `    defaultAction: ${defaultAction}`,
    rules.length === 0 ? '    rules: []' : '    rules:',
    ...rules.flatMap(ruleLines),
  ];
}

function ruleLines(rule: ImportedRule): readonly string[] {
  const { id, action, upstream, egress, apps, destinations, description, ticket } = rule;
  return [
    `      - id: ${word(id)}`,
    `        action: ${action}`,
    ...(upstream === null ? [] : [`        upstream: ${word(upstream)}`]),
    ...(egress === null ? [] : [`        egress: ${word(egress)}`]),
    ...(apps === null ? [] : [`        apps: ${list(apps)}`]),
    '        destinations:',
    ...destinations.map((one) => `          - ${quote(one)}`),
    ...(description === null ? [] : [`        description: ${quote(description)}`]),
    ...(ticket === null ? [] : [`        ticket: ${quote(ticket)}`]),
  ];
}

function testLines({ name, platform, groups, app, exact }: ImportedTest): readonly string[] {
  return [
    `  - name: ${quote(name)}`,
    ...(platform === null ? [] : [`    platform: ${platform}`]),
    ...(groups.length === 0 ? [] : [`    groups: ${list(groups)}`]),
    ...(app === null ? [] : [`    app: ${word(app)}`]),
    '    exact:',
    ...exact.map(
      ({ target, action, rule }) =>
        `      - { target: ${quote(target)}, action: ${action}, rule: ${word(rule)} }`,
    ),
  ];
}

function list(texts: readonly string[]): string {
  return `[${texts.map(quote).join(', ')}]`;
}

/** An id as it is, unless YAML would read a number or another value. */
function word(text: string): string {
  return /^(?!(?:true|false|null)$)[a-z][a-z0-9-]*$/.test(text) ? text : quote(text);
}

/** JSON's strings are YAML's; `${` from another file must not become a reference to a secret (`$$` is how it is written). */
function quote(text: string): string {
  return JSON.stringify(text.replaceAll('${', () => '$${')).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
