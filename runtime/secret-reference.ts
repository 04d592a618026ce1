// Puts secrets in place of `${env:NAME}` and `${file:path}` in one text.
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileTrouble, isOpenToOthers } from './file-trouble.ts';

export interface SecretSources {
  readonly folder: string; // what relative file names are relative to
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Filled {
  readonly text: string;
  readonly secrets: readonly string[];
  readonly files: readonly string[]; // absolute
  readonly problems: readonly SecretProblem[];
}

export interface SecretProblem {
  readonly message: string;
  readonly hint: string | null;
}

type Secret =
  | { readonly kind: 'secret'; readonly value: string; readonly file: string | null }
  | { readonly kind: 'problem'; readonly problem: SecretProblem; readonly file: string | null };

// `$${` is a literal `${`; anything else that begins with `${` must be a reference.
const REFERENCE = /\$\$\{|\$\{([^{}$]*)\}|\$\{/g;

export async function fillSecrets(text: string, sources: SecretSources): Promise<Filled> {
  const parts: string[] = [];
  const found: Secret[] = [];
  let end = 0;
  for (const match of text.matchAll(REFERENCE)) {
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[0] === '$${') {
      parts.push('${');
      continue;
    }
    const secret = await readReference(match[1] ?? '', sources);
    found.push(secret);
    if (secret.kind === 'secret') parts.push(secret.value);
  }
  parts.push(text.slice(end));
  return {
    text: parts.join(''),
    secrets: found.flatMap((secret) => (secret.kind === 'secret' ? [secret.value] : [])),
    files: found.flatMap((secret) => (secret.file === null ? [] : [secret.file])),
    problems: found.flatMap((secret) => (secret.kind === 'problem' ? [secret.problem] : [])),
  };
}

function readReference(reference: string, sources: SecretSources): Promise<Secret> | Secret {
  const [, kind, name = ''] = /^(env|file):(.+)$/.exec(reference) ?? [];
  if (kind === 'file') return readSecretFile(name, sources.folder);
  if (kind === 'env' && /^[A-Za-z_]\w*$/.test(name)) return readVariable(name, sources.environment);
  return problem(
    `expected a reference like \`\${env:NAME}\` or \`\${file:path}\``,
    `write \`$\${\` for the two characters themselves`,
  );
}

function readVariable(name: string, environment: SecretSources['environment']): Secret {
  const value = environment[name];
  if (value === undefined) return problem(`environment variable \`${name}\` is not set`, null);
  if (value === '') return problem(`environment variable \`${name}\` is empty`, null);
  return { kind: 'secret', value, file: null };
}

// Issues call the file what the configuration calls it: they can be read without credentials, at
// /readyz, and the way to it is nobody else's business.
async function readSecretFile(name: string, folder: string): Promise<Secret> {
  const file = resolve(folder, name);
  const trouble = (what: string, hint: string | null = null): Secret =>
    problem(`secret file \`${name}\` ${what}`, hint, file);
  try {
    const facts = await stat(file);
    if (!facts.isFile()) return trouble('is not a regular file');
    if (isOpenToOthers(facts)) return trouble('can be read by others', `run \`chmod 600 ${name}\``);
    const value = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    return value === '' ? trouble('is empty') : { kind: 'secret', value, file };
  } catch (error) {
    return trouble(`cannot be read: ${fileTrouble(error)}`);
  }
}

function problem(message: string, hint: string | null, file: string | null = null): Secret {
  return { kind: 'problem', problem: { message, hint }, file };
}
