// Reads a small posted form, once and strictly.
import type { IncomingMessage } from 'node:http';

const MAX_BYTES = 8 * 1024;

// null: not such a form, too large, or with a field given twice (threats I08).
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') return null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // What is too long is left unread, not cut off: the person still gets an answer.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return null;
    chunks.push(chunk);
  }
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
  const names = [...form.keys()];
  return new Set(names).size === names.length ? form : null;
}
