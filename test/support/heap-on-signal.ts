// Loaded into a process under test (`--expose-gc --import`): on SIGUSR2 it collects garbage and says on stderr what is left.

process.on('SIGUSR2', () => {
  globalThis.gc?.();
  // Once more in the next turn: what has been freed may have held something.
  setImmediate(() => {
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    process.stderr.write(`heap: ${JSON.stringify({ heapUsed, external, rss })}\n`);
  });
});
