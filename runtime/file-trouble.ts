// What keeps a file from being used: the system's errors in plain words, and secrets that others can read.

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

// A file of root's may be read by our group: it is how root hands one to a service without giving
// it away (Kubernetes' fsGroup, PostgreSQL's rule for keys). Windows has no such bits.
export function isOpenToOthers(facts: { readonly mode: number; readonly uid: number }): boolean {
  if (process.platform === 'win32') return false;
  const isHandedToUs = facts.uid === 0 && process.getuid?.() !== 0;
  return (facts.mode & (isHandedToUs ? 0o027 : 0o077)) !== 0;
}
