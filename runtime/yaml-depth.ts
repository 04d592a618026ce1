// Finds values that stand too deep in YAML text before anything is built of them: the parser has no limit of its own, and runs
// out of stack, or for megabytes of `[` out of memory, which would end a gateway that only reads its rules again.
import { CST, Lexer } from 'yaml';
import type { Place } from './yaml-text.ts';

/** Far more than any file needs. */
export const MAX_DEPTH = 100;

type Kind = ReturnType<typeof CST.tokenType> | 'text';

/** Counts brackets, and `- ` and `? ` on one line; by indentation a file grows too fast to go far. */
export function firstTooDeep(text: string): Place | null {
  let offset = 0;
  let brackets = 0;
  let onLine = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    const type: Kind = isText ? 'text' : CST.tokenType(token);
    isText = type === 'scalar';
    if (type === 'flow-seq-start' || type === 'flow-map-start') brackets += 1;
    if (type === 'flow-seq-end' || type === 'flow-map-end') brackets -= 1;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') onLine += 1;
    if (type === 'newline') onLine = 0;
    if (brackets + onLine > MAX_DEPTH) return placeOf(text, offset);
    if (!isMark(type)) offset += token.length;
  }
  return null;
}

/** What the lexer says between two pieces of the text. */
function isMark(type: Kind): boolean {
  return type === 'scalar' || type === 'doc-mode' || type === 'flow-error-end';
}

function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}
