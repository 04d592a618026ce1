// Looks at certificates, revocation lists and the files that hold keys: how long they last, and who may read them.

import { X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Everything } from '../load.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

const dayMs = 86_400_000;

interface Dated {
  readonly place: string;
  readonly what: string;
  readonly from: number;
  readonly to: number;
  readonly warnMs: number;
  readonly fix: string;
}

export async function checkMaterial(all: Everything, now: number): Promise<readonly Finding[]> {
  return [...checkDates(all, now), ...(await checkPermissions(all))];
}

function checkDates({ gateway }: Everything, now: number): readonly Finding[] {
  if (gateway === null) return [];
  const { tls, policy } = gateway;
  const { revocation } = policy.identity;
  const lists = revocation.mode === 'off' ? [] : [...revocation.lists.values()];
  const dated: readonly Dated[] = [
    certificate('tls.certificate', tls.certificate, 14 * dayMs, 'renew it'),
    ...tls.authorities.map((pem) =>
      certificate(
        'identity.authorities',
        pem,
        30 * dayMs,
        'plan its successor; both may be listed',
      ),
    ),
    ...lists.map((list) => ({
      place: 'identity.revocation',
      what: `the list of ${list.issuer.slice(0, 16)}…`,
      from: list.thisUpdate,
      to: list.nextUpdate ?? 0,
      warnMs: dayMs,
      fix: 'fetch the current one: without it every device of its authority is refused',
    })),
  ];
  return dated.map((one) => checkDated(one, now));
}

function certificate(place: string, pem: string, warnMs: number, fix: string): Dated {
  const x509 = new X509Certificate(pem);
  const what = `\`${x509.subject.replaceAll('\n', ', ')}\``;
  const [from, to] = [x509.validFromDate.getTime(), x509.validToDate.getTime()];
  return { place, what, from, to, warnMs, fix };
}

function checkDated({ place, what, from, to, warnMs, fix }: Dated, now: number): Finding {
  const until = `${new Date(to).toISOString().slice(0, 19)}Z`;
  if (from > now) {
    return problem(place, {
      message: `${what} is not valid yet`,
      expected: 'a beginning in the past',
      fix: 'see whether the clock of this machine is right',
    });
  }
  const wrong = { expected: 'an end that is far enough away', fix };
  if (to <= now) return problem(place, { message: `${what} ended on ${until}`, ...wrong });
  if (to - now < warnMs) return warning(place, { message: `${what} ends on ${until}`, ...wrong });
  return ok(place, `${what} lasts until ${until}`);
}

async function checkPermissions(all: Everything): Promise<readonly Finding[]> {
  const { gateway, idp, folder, secretFiles } = all;
  const keys = [
    ...(gateway === null ? [] : [gateway.config.tls.key]),
    ...(idp === null ? [] : [idp.config.tls.key, idp.config.keysFile]),
  ];
  const files = new Set([...keys.map((file) => resolve(folder, file)), ...secretFiles]);
  const found = await Promise.all([...files].map(checkMode));
  const bad = found.filter((one) => one !== null);
  return bad.length > 0
    ? bad
    : [ok('files', 'keys and secrets are for their owner and group only')];
}

/** A group may read it: a service and whoever hands it its secrets often share one. Others may not. */
async function checkMode(file: string): Promise<Finding | null> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o007) === 0) return null;
    return warning(file, {
      message: `may be used by everybody on this machine (mode ${(mode & 0o777).toString(8)})`,
      expected: 'a key or secret that only its service can read',
      fix: `chmod o= ${file}`,
    });
  } catch {
    // Made at the first start, or read by another user.
    return null;
  }
}
