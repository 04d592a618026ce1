// Waits until nothing moves any more.

/** Resolves when a number has stopped changing. */
export async function still(read: () => number): Promise<void> {
  let last = -1;
  for (let turns = 0; turns < 200; ) {
    const current = read();
    turns = current === last ? turns + 1 : 0;
    last = current;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
