// Hears which application a request says it belongs to, at the one place that is believed.

import { appShape, type HeardApp } from '../decision/app.ts';
import type { AppSource } from '../decision/identity.ts';
import { fieldValues, type RawFields } from './fields.ts';

/** The field that may say it, in lower case: it is for this gateway, not for origins. */
export function appField(source: AppSource | null): string | null {
  return source?.from === 'header' ? source.name : null;
}

/** Said twice, or unreadably, is not said: an unknown application matches no rule that names one. */
export function hearApp(
  source: AppSource | null,
  fields: RawFields,
  listener: string | null,
): HeardApp {
  if (source?.from === 'listener') return { source, app: listener };
  if (source?.from !== 'header') return { source, app: null };
  const [said, ...more] = fieldValues(fields, source.name);
  const isPlain = said !== undefined && more.length === 0 && appShape.test(said);
  return { source, app: isPlain ? said : null };
}
