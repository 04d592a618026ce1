// The fields that zones, rules and the provider's section have in common.
import { z } from 'zod';
import { type AddressRange, readAddressRange } from '../../dtr-rules/address.ts';
import { readMoment } from '../../dtr-rules/moment.ts';
import type { Reading } from '../../dtr-rules/reading.ts';

function readAs<T>(read: (text: string) => Reading<T>) {
  return z.string().transform((text, context): T => {
    const reading = read(text);
    if (reading.ok) return reading.value;
    const params = { hint: reading.hint ?? undefined };
    context.addIssue({ code: 'custom', message: reading.message, input: text, params });
    return z.NEVER;
  });
}

export function addressRange() {
  return readAs<AddressRange>(readAddressRange);
}

export function isWithin(inner: AddressRange, outer: AddressRange): boolean {
  const { family, first, last } = inner;
  return family === outer.family && outer.first <= first && last <= outer.last;
}

/** Milliseconds since 1970. */
export function moment() {
  return readAs<number>(readMoment);
}

// A name for people: shown in logs and explanations.
export function title() {
  const text = z.string().min(1).max(128);
  return text.refine(
    (value) => /^\P{Cc}*$/u.test(value),
    'expected text without control characters',
  );
}

export function refuseDoubles(
  items: readonly { readonly name: string }[],
  key: string,
  context: z.core.$RefinementCtx,
): void {
  for (const [index, item] of items.entries()) {
    const first = items.findIndex(({ name }) => name === item.name);
    if (first === index) continue;
    const message = `the name \`${item.name}\` is used twice`;
    context.addIssue({ code: 'custom', path: [key, index, 'name'], message, input: item.name });
  }
}
