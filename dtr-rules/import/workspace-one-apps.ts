// Owns the applications of Workspace ONE rules: what identifies each, and on which platform.

import { appNamed, type ImportedApp, lose, type Notes } from './imported.ts';
import { loseUnknown, recordOf, textOf } from './json.ts';

/** As the vendor calls platforms, and as we do. */
export const platformNames = new Map(
  Object.entries({
    APPLE: 'ios',
    ANDROID: 'android',
    APPLE_OS_X: 'macos',
    WIN_RT: 'windows',
    LINUX: 'linux',
    CHROME_OS: 'chromeos',
  }),
);

export interface Where {
  readonly notes: Notes;
  readonly place: string;
  /** Null: the application says it. */
  readonly platform: string | null;
}

/** Null for all applications. */
export function readApps(
  items: readonly unknown[],
  { notes, place, platform }: Where,
): readonly string[] | null {
  if (items.length === 0) return null;
  const names: string[] = [];
  for (const [i, item] of items.entries()) {
    const app = recordOf(item) ?? {};
    const at = `${place}[${i}]`;
    const known = [
      'uuid',
      'application_id',
      'bundle_id',
      'friendly_name',
      'type',
      'device_type',
      'name',
      'signing_info',
    ];
    loseUnknown(app, known, { notes, place: at });
    const name = textOf(app['friendly_name']) ?? textOf(app['name']);
    const signing = recordOf(app['signing_info']);
    const signer = signing === null ? null : textOf(signing['subject_name']);
    const own = textOf(app['bundle_id']);
    if (/^all applications$/i.test(name ?? '') || own === '*') return null;
    // A publisher next to an identifier would take in whatever else he has signed: the rule would become wider.
    if (signing !== null && (own !== null || signer === null)) {
      lose(
        notes,
        `${at}.signing_info`,
        'signing information is not carried over',
        'an application is known by any one of its identifiers: add `publisher` to it only if all that is signed so is meant',
      );
    }
    const identifier = own ?? signer;
    if (identifier === null) {
      lose(
        notes,
        at,
        `the application \`${name ?? ''}\` has no identifier, and is left out`,
        'add it under `applications` with its `bundleId`, and name it in the rule',
      );
      continue;
    }
    if (own === null) {
      names.push(appNamed(notes, { kind: 'publisher', identifier, name: name ?? identifier }));
      continue;
    }
    const kind = kindOf(
      platform ?? platformNames.get(textOf(app['device_type']) ?? '') ?? null,
      identifier,
    );
    names.push(appNamed(notes, { kind, identifier, name: name ?? identifier }));
  }
  return [...new Set(names)];
}

function kindOf(platform: string | null, identifier: string): ImportedApp['kind'] {
  if (/[\\/]/.test(identifier)) return 'path';
  if (/^CN=/i.test(identifier)) return 'publisher';
  return platform === 'android' || platform === 'chromeos' ? 'packageName' : 'bundleId';
}
