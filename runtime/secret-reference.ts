// Puts secrets in place of `${env:NAME}` and `${file:path}` in one text.
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

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

async function readSecretFile(name: string, folder: string): Promise<Secret> {
  const file = resolve(folder, name);
  try {
    const facts = await stat(file);
    if (!facts.isFile())
      return problem(`secret file \`${file}\` is not a regular file`, null, file);
    if (isOpenToOthers(facts)) {
      return problem(
        `secret file \`${file}\` can be read by others`,
        `run \`chmod 600 ${file}\``,
        file,
      );
    }
    const value = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    if (value === '') return problem(`secret file \`${file}\` is empty`, null, file);
    return { kind: 'secret', value, file };
  } catch (error) {
    return problem(`secret file \`${file}\` cannot be read: ${fileTrouble(error)}`, null, file);
  }
}

// A file of root's may be read by our group: it is how root hands one to a service without giving
// it away (Kubernetes' fsGroup, PostgreSQL's rule for keys). Windows has no such bits.
function isOpenToOthers(facts: { readonly mode: number; readonly uid: number }): boolean {
  if (process.platform === 'win32') return false;
  const isHandedToUs = facts.uid === 0 && process.getuid?.() !== 0;
  return (facts.mode & (isHandedToUs ? 0o027 : 0o077)) !== 0;
}

const TROUBLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
};

export function fileTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return TROUBLE[code] ?? code;
}

function problem(message: string, hint: string | null, file: string | null = null): Secret {
  return { kind: 'problem', problem: { message, hint }, file };
}
