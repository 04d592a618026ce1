// Reads an origin's HTTP/1.1 answers from bytes, strictly: whatever could be read in two ways is no answer (RFC 9112).

import { fieldValues, type RawFields } from './fields.ts';

export interface AnswerHead {
  /** Of the origin's own protocol, for Via. */
  readonly version: '1.0' | '1.1';
  readonly status: number;
  readonly phrase: string;
  readonly fields: RawFields;
  readonly framing: Framing;
}

/** How the end of a body is told (RFC 9112 section 6.3). */
type Framing = 'none' | 'length' | 'chunked' | 'close';

/** Told in order: informational heads, the final one, its body, its end; or what was wrong, last. */
export interface AnswerListener {
  informational(head: AnswerHead): void;
  begin(head: AnswerHead): void;
  body(chunk: Buffer): void;
  end(trailers: RawFields): void;
  malformed(why: string): void;
  /** 101: what follows is no HTTP any more. */
  switched(head: AnswerHead, early: Buffer): void;
}

export interface AnswerReader {
  read(chunk: Buffer): void;
  /** No more will come: whether that was the end of the answer, or cuts it short. */
  finish(): boolean;
  /** The answer was whole, and the connection may carry another one. */
  isReusable(): boolean;
}

/** As much as a device may send; trailers too. */
const maxHeadBytes = 16_384;
const maxChunkLineBytes = 1024;

/** More than any origin needs; each one starts the wait for the final answer anew (threats H26). */
const maxInformational = 16;

const start = Buffer.from('HTTP/1.');
const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const nothing = Buffer.alloc(0);

/** `head`: a head is read; `line`: a chunk's size; `gap`: the CRLF after a chunk. */
type State =
  | 'head'
  | 'length'
  | 'line'
  | 'chunk'
  | 'gap'
  | 'trailers'
  | 'close'
  | 'over'
  | 'failed';

export function createAnswerReader(method: string, listener: AnswerListener): AnswerReader {
  let state: State = 'head';
  /** What waits for the rest of its line or head. */
  let held: Buffer = nothing;
  /** Of the body or of the chunk. */
  let left = 0;
  let informational = 0;
  let reusable = false;
  /** Of what is being read: the body's part so far, moved together. */
  let body = { from: 0, to: 0 };

  function fail(why: string): number {
    state = 'failed';
    held = nothing;
    listener.malformed(why);
    return -1;
  }
  function end(trailers: RawFields): void {
    state = 'over';
    listener.end(trailers);
  }
  /** The line or head that begins at `from`; null, and kept, when its end has not come yet. */
  function take(chunk: Buffer, from: number, mark: Buffer, most: number): string | null {
    const at = chunk.indexOf(mark, from);
    if (at >= 0 && at - from <= most) return chunk.toString('latin1', from, at);
    if (at >= 0 || chunk.length - from > most) fail('longer than it may be');
    // A copy: the memory of a chunk is its reader's again afterwards.
    else held = Buffer.from(chunk.subarray(from));
    return null;
  }
  function readHead(chunk: Buffer, from: number): number {
    // Another protocol may never send what looks like the end of a head.
    if (!beginsLikeHttp(chunk, from)) return fail('not HTTP');
    const text = take(chunk, from, headEnd, maxHeadBytes);
    if (text === null) return -1;
    const head = parseHead(text, method);
    if (typeof head === 'string') return fail(head);
    const next = from + text.length + headEnd.length;
    if (head.status === 101) {
      state = 'over';
      listener.switched(head, chunk.subarray(next));
      return -1;
    }
    if (head.status < 200) {
      informational += 1;
      if (informational > maxInformational) return fail('no end of informational answers');
      listener.informational(head);
      return next;
    }
    reusable = head.framing !== 'close' && staysOpen(head);
    left = head.framing === 'length' ? Number(fieldValues(head.fields, 'content-length')[0]) : 0;
    state = head.framing === 'chunked' ? 'line' : head.framing === 'close' ? 'close' : 'length';
    listener.begin(head);
    if (state === 'length' && left === 0) end([]);
    return next;
  }
  function readLine(chunk: Buffer, from: number): number {
    const text = take(chunk, from, lineEnd, maxChunkLineBytes);
    if (text === null) return -1;
    // Extensions end here (RFC 9112 section 7.1.1).
    const size = /^([\da-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/i.exec(text)?.[1];
    if (size === undefined) return fail('a chunk size');
    left = Number.parseInt(size, 16);
    state = left === 0 ? 'trailers' : 'chunk';
    return from + text.length + lineEnd.length;
  }
  function readBody(chunk: Buffer, from: number): number {
    const length = Math.min(left, chunk.length - from);
    left -= length;
    gather(chunk, from, from + length);
    if (left === 0 && state === 'chunk') state = 'gap';
    else if (left === 0) {
      tell(chunk);
      end([]);
    }
    return from + length;
  }
  /** Chunks of one byte each must not make as many writes: each that waits costs 180 bytes besides its own,
   *  and thousands come in one read. */
  function gather(chunk: Buffer, from: number, to: number): void {
    if (body.to === body.from) body = { from, to };
    else {
      chunk.copyWithin(body.to, from, to);
      body.to += to - from;
    }
  }
  function tell(chunk: Buffer): void {
    const { from, to } = body;
    body = { from: 0, to: 0 };
    if (to > from) listener.body(chunk.subarray(from, to));
  }
  function readGap(chunk: Buffer, from: number): number {
    if (chunk.length - from === 1 && chunk[from] === 13) {
      held = Buffer.from(chunk.subarray(from));
      return -1;
    }
    if (chunk[from] !== 13 || chunk[from + 1] !== 10) return fail('a chunk longer than it says');
    state = 'line';
    return from + lineEnd.length;
  }
  function readTrailers(chunk: Buffer, from: number): number {
    if (chunk[from] === 13 && chunk[from + 1] === 10) {
      tell(chunk);
      end([]);
      return from + lineEnd.length;
    }
    const text = take(chunk, from, headEnd, maxHeadBytes);
    if (text === null) return -1;
    const trailers = parseFields(text.split('\r\n'), 0);
    if (trailers === null || !isPlainText(text)) return fail('a trailer');
    tell(chunk);
    end(trailers);
    return from + text.length + headEnd.length;
  }
  /** Where the next part begins; -1 when there is none, or its end has not come yet. */
  function readPart(chunk: Buffer, from: number): number {
    switch (state) {
      case 'head':
        return readHead(chunk, from);
      case 'line':
        return readLine(chunk, from);
      case 'gap':
        return readGap(chunk, from);
      case 'trailers':
        return readTrailers(chunk, from);
      case 'length':
      case 'chunk':
        return readBody(chunk, from);
      case 'close':
        listener.body(from === 0 ? chunk : chunk.subarray(from));
        return -1;
      case 'over':
        // It belongs to nobody (threats H22, H24).
        reusable = false;
        return -1;
      case 'failed':
        return -1;
    }
  }

  return {
    read(chunk) {
      const whole = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      held = nothing;
      for (let at = 0; at >= 0 && at < whole.length; ) at = readPart(whole, at);
      tell(whole);
    },
    finish() {
      if (state === 'close') end([]);
      return state === 'over';
    },
    isReusable: () => state === 'over' && reusable,
  };
}

function beginsLikeHttp(chunk: Buffer, from: number): boolean {
  const length = Math.min(start.length, chunk.length - from);
  return chunk.compare(start, 0, length, from, from + length) === 0;
}

/** What is wrong with it, if something is. */
function parseHead(text: string, method: string): AnswerHead | string {
  if (!isPlainText(text)) return 'a control byte in the head';
  const lines = text.split('\r\n');
  const [, minor, code, phrase = ''] =
    /^HTTP\/1\.([01]) (\d{3})(?: (.*))?$/.exec(lines[0] ?? '') ?? [];
  const status = Number(code);
  if (code === undefined || status < 100) return 'the status line';
  const fields = parseFields(lines, 1);
  if (fields === null) return 'a field';
  const version = minor === '0' ? '1.0' : '1.1';
  const framing = framingOf(fields, version);
  if (framing === null) return 'the framing';
  const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  return { version, status, phrase, fields, framing: bodiless ? 'none' : framing };
}

/** One way to tell the end, or none (RFC 9112 section 6.3); null when there is more to it. */
function framingOf(fields: RawFields, version: string): Framing | null {
  const lengths = fieldValues(fields, 'content-length');
  const codings = fieldValues(fields, 'transfer-encoding');
  const [length] = lengths;
  const [coding] = codings;
  if (lengths.length + codings.length > 1) return null;
  if (length !== undefined) return /^\d{1,15}$/.test(length) ? 'length' : null;
  if (coding === undefined) return 'close';
  return version === '1.1' && coding.toLowerCase() === 'chunked' ? 'chunked' : null;
}

/** Name and value in turn; null when a line is no field. Folded lines are none (RFC 9112 section 5.2). */
function parseFields(lines: readonly string[], from: number): string[] | null {
  const fields: string[] = [];
  for (let i = from; i < lines.length; i += 1) {
    const line = lines[i] ?? '';
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon < 1 || !/^[!#$%&'*+\-.^_`|~\w]+$/.test(name)) return null;
    fields.push(name, trimmed(line, colon + 1));
  }
  return fields;
}

/** Without the white space around it (RFC 9112 section 5). */
function trimmed(line: string, from: number): string {
  const isBlank = (at: number): boolean => line[at] === ' ' || line[at] === '\t';
  let first = from;
  let last = line.length;
  while (first < last && isBlank(first)) first += 1;
  while (last > first && isBlank(last - 1)) last -= 1;
  return line.slice(first, last);
}

/** No control bytes; CR and LF only together, as the end of a line (RFC 9110 section 5.5). */
function isPlainText(text: string): boolean {
  return !/[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/.test(text);
}

function staysOpen({ version, fields }: AnswerHead): boolean {
  const isClose = (value: string): boolean => /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(value);
  return version === '1.1' && !fieldValues(fields, 'connection').some(isClose);
}
