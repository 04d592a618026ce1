// Log lines that wait to be written: whole lines in order, in bounded memory.

export interface LogQueue {
  /** False when it is full: the line is not taken. */
  add(line: string): boolean;
  /** What is to be written next; the same until it has been. */
  next(): Buffer | null;
  /** So many bytes of it have been written. */
  wrote(bytes: number): void;
  bytes(): number;
  /** Forgets everything; returns how many lines that was. */
  clear(): number;
  /** Forgets the rest of a line whose beginning stands elsewhere; returns how many lines that was. */
  dropTorn(): number;
}

const maxWriteBytes = 65_536;
const lineEnd = 0x0a;

export function createLogQueue(maxBytes: number): LogQueue {
  let lines: string[] = [];
  let waitingBytes = 0;
  let current: Buffer = Buffer.alloc(0);
  let isTorn = false;

  function take(): Buffer {
    let count = 0;
    for (let bytes = 0; count < lines.length && bytes < maxWriteBytes; count += 1) {
      bytes += lines[count]?.length ?? 0;
    }
    const taken = Buffer.from(lines.slice(0, count).join(''));
    lines = lines.slice(count);
    return taken;
  }

  return {
    add(line) {
      const bytes = Buffer.byteLength(line);
      if (waitingBytes + bytes > maxBytes) return false;
      lines.push(line);
      waitingBytes += bytes;
      return true;
    },
    next() {
      if (current.length === 0) current = take();
      return current.length === 0 ? null : current;
    },
    wrote(bytes) {
      if (bytes === 0) return;
      isTorn = current[bytes - 1] !== lineEnd;
      current = current.subarray(bytes);
      waitingBytes -= bytes;
    },
    bytes: () => waitingBytes,
    clear() {
      const count = current.filter((byte) => byte === lineEnd).length + lines.length;
      lines = [];
      current = Buffer.alloc(0);
      waitingBytes = 0;
      isTorn = false;
      return count;
    },
    dropTorn() {
      if (!isTorn) return 0;
      const rest = current.indexOf(lineEnd) + 1;
      current = current.subarray(rest);
      waitingBytes -= rest;
      isTorn = false;
      return 1;
    },
  };
}
