// Writes small MMDB files (MaxMind DB format 2.0), so that tests need nobody's data.
import { parseAddressRange } from '../../dtr-rules/address.ts';

type Value = string | number | readonly Value[] | { readonly [key: string]: Value };

/** The file for a record for each CIDR block; a later block lies over an earlier one. */
export function mmdbOf(records: Readonly<Record<string, Value>>): Buffer {
  const root: Node = [null, null];
  const data: Buffer[] = [];
  let bytes = 0;
  for (const [block, value] of Object.entries(records)) {
    const encoded = encode(value);
    plant(root, bitsOf(block), bytes);
    data.push(encoded);
    bytes += encoded.length;
  }
  const { tree, count } = write(root);
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Test',
    description: { en: 'made for a test' },
    ip_version: 6,
    languages: ['en'],
    node_count: count,
    record_size: 24,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata]);
}

type Node = [Child, Child];
type Child = Node | number | null; // a node, an offset in the data, or nothing

// IPv4 lies in ::/96.
function bitsOf(block: string): readonly (0 | 1)[] {
  const range = parseAddressRange(block);
  if (range === null) throw new Error(`${block} is no block`);
  const hostBits = (range.last - range.first + 1n).toString(2).length - 1;
  const width = 128 - hostBits;
  const bits = (range.first >> BigInt(hostBits)).toString(2).padStart(width, '0');
  return Array.from(bits.slice(-width), (bit) => (bit === '1' ? 1 : 0));
}

function plant(root: Node, bits: readonly (0 | 1)[], offset: number): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) {
    const child = node[bit];
    // What lay under a wider block lies under both halves of it.
    const next: Node = Array.isArray(child) ? child : [child, child];
    node[bit] = next;
    node = next;
  }
  const last = bits.at(-1);
  if (last !== undefined) node[last] = offset;
}

function write(root: Node): { readonly tree: Buffer; readonly count: number } {
  const nodes: Node[] = [root];
  for (const node of nodes) {
    for (const child of node) if (Array.isArray(child)) nodes.push(child);
  }
  const number = new Map(nodes.map((node, index) => [node, index]));
  const tree = Buffer.alloc(nodes.length * 6);
  const recordOf = (child: Child) => {
    if (child === null) return nodes.length;
    return Array.isArray(child) ? (number.get(child) ?? 0) : nodes.length + 16 + child;
  };
  for (const [index, [left, right]] of nodes.entries()) {
    tree.writeUIntBE(recordOf(left), index * 6, 3);
    tree.writeUIntBE(recordOf(right), index * 6 + 3, 3);
  }
  return { tree, count: nodes.length };
}

const types = { text: 2, map: 7, uint32: 6, array: 11 } as const;

function encode(value: Value): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([control(types.text, bytes.length), bytes]);
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(types.uint32, 4), bytes]);
  }
  if (isList(value)) {
    return Buffer.concat([control(types.array, value.length), ...value.map(encode)]);
  }
  const pairs = Object.entries(value);
  const parts = pairs.flatMap(([key, inner]) => [encode(key), encode(inner)]);
  return Buffer.concat([control(types.map, pairs.length), ...parts]);
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function control(type: number, size: number): Buffer {
  if (size >= 29) throw new Error('too long for a test');
  return Buffer.from(type > 7 ? [size, type - 7] : [(type << 5) | size]);
}
