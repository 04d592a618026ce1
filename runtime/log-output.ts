// Where log lines go: in the background and in bounded memory. Trouble there costs lines, which are counted, and nothing else.

import { closeSync, fstatSync, openSync, write, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { createLogQueue } from './log-queue.ts';

export interface LogOutput {
  write(line: string): void;
  /** Calls back when everything has been written, or cannot be written now. */
  flush(done?: () => void): void;
  /** Goes on in a new file of the same name; a descriptor needs nothing. */
  reopen(): void;
  /** Tells how many lines were lost, those from before included. */
  onLost(listener: (lines: number) => void): void;
}

export interface LogOutputOptions {
  /** A path, or a descriptor. */
  readonly dest: string | number;
  /** It works again; so many lines were lost meanwhile. */
  readonly recovered: (lostLines: number) => void;
  readonly maxWaitingBytes?: number;
  /** Registers what is to be done when the process ends. */
  readonly atEnd?: (end: () => void) => unknown;
}

// A write for every line costs a busy gateway 4 % of its CPU time, one for every two as much again as making
// them: another thread has to wake up for it. A line after a pause leaves at once, those that follow it
// closely leave together: eight pages of them, or what there is after 25 ms.
const pageBytes = 32_768;
const togetherMs = 25;

/** About ten thousand lines: some seconds of a reader that does not read. */
const defaultWaitingBytes = 8 * 1024 * 1024;
/** After a write that failed, for want of space for example. */
const troubleMs = 1000;
/** A reader that has no room now. */
const fullMs = 5;
/** A process that ends waits so long for a reader that does not read. */
const endMs = 1000;

/** Nobody will ever read what is written there. */
const goneCodes = new Set(['EPIPE', 'EBADF', 'ECONNRESET', 'ENOTCONN']);

const ends: (() => void)[] = [];

/** One listener for all outputs: Node warns of more than ten. */
function atExit(end: () => void): void {
  if (ends.length === 0) {
    process.on('exit', () => {
      for (const one of ends) one();
    });
  }
  ends.push(end);
}

export function openLogOutput(options: LogOutputOptions): LogOutput {
  const { dest, recovered, maxWaitingBytes = defaultWaitingBytes } = options;
  const { atEnd = atExit } = options;
  const queue = createLogQueue(maxWaitingBytes);
  let fd = typeof dest === 'string' ? openSync(dest, 'a') : dest;
  const attempt = typeof dest === 'string' ? writeBehind : writerFor(dest);
  let closeOld: (() => void) | null = null;
  let flushes: (() => void)[] = [];
  let isWriting = false;
  let isGone = false;
  let pace: NodeJS.Timeout | null = null;
  let retry: NodeJS.Timeout | null = null;
  const lost = { unsaid: 0, untold: 0, tell: null as ((lines: number) => void) | null };

  function lose(lines: number): void {
    lost.unsaid += lines;
    lost.untold += lines;
    if (lost.tell === null || lost.untold === 0) return;
    lost.tell(lost.untold);
    lost.untold = 0;
  }
  function settleFlushes(): void {
    const settled = flushes;
    flushes = [];
    for (const done of settled) done();
  }
  /** There is something to be written. */
  function arrange(): void {
    if (isWriting || retry !== null) return;
    if (queue.bytes() >= pageBytes || flushes.length > 0) leave();
    else if (pace === null) {
      pace = setTimeout(paced, togetherMs).unref();
      queueMicrotask(leave);
    }
  }
  function paced(): void {
    pace = null;
    if (queue.bytes() === 0) return;
    pace = setTimeout(paced, togetherMs).unref();
    leave();
  }
  function leave(): void {
    if (isWriting || retry !== null) return;
    const bytes = queue.next();
    if (bytes === null) {
      settleFlushes();
      return;
    }
    isWriting = true;
    attempt(fd, bytes, (code, written) => {
      isWriting = false;
      closeOld?.();
      closeOld = null;
      if (code === null) wrote(written);
      else failed(code);
    });
  }
  function wrote(bytes: number): void {
    queue.wrote(bytes);
    // Once there is room again: one such line for every page would only add to the trouble.
    if (lost.unsaid > 0 && queue.bytes() < maxWaitingBytes / 2) {
      const lines = lost.unsaid;
      lost.unsaid = 0;
      recovered(lines);
    }
    if (queue.bytes() > 0) arrange();
    else settleFlushes();
  }
  function failed(code: string): void {
    if (goneCodes.has(code)) {
      isGone = true;
      lose(queue.clear());
    } else {
      const again = (): void => {
        retry = null;
        leave();
      };
      retry = setTimeout(again, code === 'EAGAIN' ? fullMs : troubleMs).unref();
    }
    if (code !== 'EAGAIN') settleFlushes();
  }

  // The last words of a process: all that can be written without waiting for long.
  atEnd(() => {
    // What is being written gets there by itself.
    if (isWriting) queue.wrote(queue.next()?.length ?? 0);
    for (const until = Date.now() + endMs; Date.now() < until && !isGone; ) {
      const bytes = queue.next();
      if (bytes === null) return;
      writeNow(fd, bytes, (code, written) => {
        queue.wrote(written);
        if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
        else isGone = code !== null;
      });
    }
  });

  return {
    write(line) {
      if (isGone || !queue.add(line)) lose(1);
      else arrange();
    },
    flush(done = () => undefined) {
      flushes.push(done);
      if (isGone) settleFlushes();
      else leave();
    },
    reopen() {
      if (typeof dest === 'number') return;
      const old = fd;
      try {
        fd = openSync(dest, 'a');
      } catch {
        return; // its folder is gone, for example: the old file is as good as it was
      }
      // A write under way belongs to the old one.
      if (isWriting) closeOld = () => closeSync(old);
      else closeSync(old);
      isGone = false;
      if (retry !== null) clearTimeout(retry);
      retry = null;
      if (!isWriting) lose(queue.dropTorn());
      leave();
    },
    onLost(listener) {
      lost.tell = listener;
      lose(0);
    },
  };
}

/** Writes, and says what came of it: the code of an error, or null, and how many bytes. */
type Attempt = (
  fd: number,
  bytes: Buffer,
  done: (code: string | null, written: number) => void,
) => void;

/** For files: a slow disk keeps a thread waiting, not us. */
const writeBehind: Attempt = (fd, bytes, done) => {
  write(fd, bytes, 0, bytes.length, null, (error, written) => {
    done(error === null ? null : (error.code ?? 'unknown'), written);
  });
};

/** For what takes no more than it has room for at once. */
const writeNow: Attempt = (fd, bytes, done) => {
  let written: number;
  try {
    written = writeSync(fd, bytes);
  } catch (error) {
    return done((error as NodeJS.ErrnoException).code ?? 'unknown', 0);
  }
  done(null, written);
};

/** A pipe whose reader does not read would keep the thread waiting for ever, and the process from ending
 *  with it. So it is made to answer EAGAIN instead, which in Node only a socket over it can do. */
function writerFor(fd: number): Attempt {
  const stat = fstatSync(fd);
  if (!stat.isFIFO() && !stat.isSocket()) return writeBehind;
  const holder = new Socket({ fd, readable: false, writable: true }).unref();
  return (...words) => {
    if (!holder.destroyed) writeNow(...words);
    else words[2]('EPIPE', 0);
  };
}
