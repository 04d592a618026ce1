// Owns cutting a range of addresses into blocks (CIDR), the fewest there can be.

import { type AddressRange, formatAddress } from '../address.ts';

export function blocksOf({ family, first, last }: AddressRange): readonly string[] {
  const width = family === 4 ? 32 : 128;
  const blocks: string[] = [];
  for (let at = first; at <= last; ) {
    let bits = 0;
    // Twice the size, as long as it begins where such a block may and ends within the range.
    while (bits < width && isBlock(at, bits + 1) && at + (1n << BigInt(bits + 1)) - 1n <= last)
      bits += 1;
    blocks.push(`${formatAddress(family, at)}/${width - bits}`);
    at += 1n << BigInt(bits);
  }
  return blocks;
}

function isBlock(first: bigint, bits: number): boolean {
  return (first & ((1n << BigInt(bits)) - 1n)) === 0n;
}
