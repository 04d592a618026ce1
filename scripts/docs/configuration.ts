// The key tables of docs/configuration.md, from the schemas themselves and a sentence for each key.
import { commonShape } from '../../cli/load.ts';
import { gatewaySchema } from '../../gateway/config/config.ts';
import { idpSection } from '../../idp-zone/config/parse.ts';
import { signOnFile } from '../../idp-zone/config/sign-on-schema.ts';
import { zonesFile } from '../../idp-zone/config/zones-schema.ts';
import { section } from '../../runtime/schema.ts';
import { type Key, keysOf } from './keys.ts';
import { folded, signOnMeanings, zonegateMeanings, zonesMeanings } from './meanings.ts';

interface File {
  readonly keys: readonly Key[];
  readonly meanings: Readonly<Record<string, string>>;
}

export function configurationFiles(): Readonly<Record<string, File>> {
  const zonegate = [
    ...keysOf(gatewaySchema(), '', folded),
    ...keysOf(section(commonShape), '', folded),
    ...keysOf(idpSection, 'idp', folded),
  ];
  return {
    'zonegate.yaml': { keys: zonegate, meanings: zonegateMeanings },
    'zones.yaml': { keys: keysOf(zonesFile, '', folded), meanings: zonesMeanings },
    'sign-on.yaml': { keys: keysOf(signOnFile, '', folded), meanings: signOnMeanings },
  };
}

/** The table of all keys of a file below the given sections; without sections, of the whole file. */
export function keyTable(file: string, sections: readonly string[]): string {
  const found = configurationFiles()[file];
  if (found === undefined) throw new Error(`no configuration file is called \`${file}\``);
  const keys = found.keys.filter(
    ({ path }) => sections.length === 0 || sections.includes(sectionOf(path)),
  );
  if (keys.length === 0) throw new Error(`${file} has no keys below ${sections.join(', ')}`);
  const rows = keys.map((key) => row(key, meaningOf(key, file, found.meanings)));
  return ['| Key | Value | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** What a certificate field consists of: the keys below `identity.deviceId`. */
export function fieldTable(): string {
  const { 'identity.deviceId': _, ...others } = folded;
  const meanings: Readonly<Record<string, string>> = {
    subject:
      'a part of the subject: `CN`, `O`, `OU`, `C`, `ST`, `L`, `UID`, `serialNumber`, `emailAddress`, `DC` or a dotted OID',
    altName: 'or a kind of subject alternative name',
    pattern: 'what stands around the value: `urn:udid:*` takes the part after `urn:udid:`',
  };
  const rows = keysOf(gatewaySchema(), '', others)
    .filter(({ path }) => path.startsWith('identity.deviceId.'))
    .map((key) => ({ ...key, path: key.path.replace('identity.deviceId.', '') }))
    .map((key) => row({ ...key, isRequired: false }, meaningOf(key, 'a field', meanings)));
  return ['| Key | Value | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function sectionOf(path: string): string {
  return path.replace(/[.[].*$/, '');
}

function meaningOf(key: Key, file: string, meanings: File['meanings']): string {
  const meaning = meanings[key.path];
  if (meaning !== undefined) return meaning;
  throw new Error(`\`${key.path}\` of ${file} has no sentence in scripts/docs/meanings.ts`);
}

function row({ path, value, fallback, isRequired, variant }: Key, meaning: string): string {
  const needed = isRequired ? '**needed**' : '';
  const usual = fallback === null ? needed : `\`${fallback}\``;
  const only = variant === null ? '' : `with ${variant}: `;
  const cells = [`\`${path}\``, value, usual, `${only}${meaning}`];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
