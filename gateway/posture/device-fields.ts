// Reads single fields of a UEM's device; what cannot be read makes the whole answer unbelievable (threats P06).

import { parseMoment } from './moment.ts';
import { SourceError } from './source.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';

export function requireText(device: Fields, name: string): string {
  const value = device.get(name);
  if (typeof value === 'string' && value !== '') return value;
  throw unbelievable(`has no usable \`${name}\``);
}

export function optionalText(device: Fields, name: string): string | null {
  const value = device.get(name);
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'string') return value;
  throw unbelievable(`has no usable \`${name}\``);
}

export function optionalMoment(device: Fields, name: string): number | null {
  const text = optionalText(device, name);
  if (text === null || text.startsWith('0001-')) return null; // .NET's way to say never
  const moment = parseMoment(text);
  if (moment === null) throw unbelievable(`has no usable \`${name}\``);
  return moment;
}

export function requireSection(device: Fields, name: string): Fields {
  const section = fieldsOf(device.get(name));
  if (section === null) throw unbelievable(`has no usable \`${name}\``);
  return section;
}

// `NON_COMPLIANT`, `Non Compliant` and `NonCompliant` are one word.
export function lettersOf(text: string): string {
  return text.toLowerCase().replaceAll(/[\s_-]/g, '');
}

export function unbelievable(what: string): SourceError {
  return new SourceError('answer', `the answer ${what}`);
}
