// A denial as it travels in `error_description`, where an application can log it or show it.
import { reasons } from '../decision/reasons.ts';
import type { Deny } from '../decision/sign-on.ts';

export function describeDenial({ reason, message, help }: Deny, id: string): string {
  // RFC 6749 5.2 knows ASCII without quotes and backslashes there; the operator's own words may need more.
  const sentence = /^[ !#-[\]-~]*$/.test(message) ? message : reasons[reason].sentence;
  const more = help === null ? '' : ` More: ${help}`;
  return `${reason}: ${sentence}${more} (reference ${id})`;
}
