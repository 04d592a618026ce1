// A folder with the configuration of a sign-in service alone, for tests that run the `zonegate` command.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../runtime/authority.ts';
import { freePorts } from './upstream.ts';

export const ADMIN_TOKEN = 'a-token-for-tests-only';

export interface IdpFolder extends AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  readonly port: number;
  readonly adminPort: number;
}

/** `idp` is YAML below `idp:`, each line indented by two; `files` by name. */
export async function makeIdpFolder(given: {
  readonly idp: string;
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly state?: string;
}): Promise<IdpFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-idp-'));
  const [port = 0, admin = 0] = await freePorts(2);
  const authority = await createAuthority({ name: 'test', days: 1 });
  const { certificatePem, keyPem } = await authority.issue({
    commonName: 'localhost',
    sans: { dns: ['localhost'] },
    usage: 'server',
    days: 1,
  });
  const config = join(folder, 'zonegate.yaml');
  const files = {
    'idp.pem': certificatePem,
    'idp.key': keyPem,
    'zonegate.yaml': `admin: { listen: "127.0.0.1:${admin}", tokens: [${ADMIN_TOKEN}] }
state: ${given.state ?? 'zonegate.db'}
idp:
  listen: 127.0.0.1:${port}
  tls: { certificate: idp.pem, key: idp.key }
  keysFile: keys.json
  cookieSecret: a cookie secret of thirty-two characters
${given.idp}`,
    ...given.files,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return {
    folder,
    config,
    port,
    adminPort: admin,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
