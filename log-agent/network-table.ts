import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';

// A table of networks: sorted ranges of addresses with labels, in a compact file. `npm run networks` writes the file
// (log-agent/build-networks.ts).
//
//   one line of JSON    the origin of the data, and the numbers of ranges
//   IPv4 starts         for each range, its first address: 32 bits
//   IPv6 starts         for each range, the first half of its first address: 64 bits. No range is smaller than a /64
//   IPv4 labels         for each range, the number of its label: 16 bits. 0 means no label, 1 the first label
//   IPv6 labels
//
// A range ends where the next one starts. All numbers are little-endian.

export const headerSchema = z.object({
  /** The package with the data, and its version. */
  source: z.string(),
  /** The day of the data. */
  date: z.iso.date(),
  labels: z.array(z.string()),
  ipv4: z.int(),
  ipv6: z.int(),
});
export type Header = z.infer<typeof headerSchema>;

/** Ranges of one family, in the order of their addresses. */
export interface Ranges<Address extends number | bigint> {
  starts: Address[];
  /** For each range, the number of its label; 0 if it has none. */
  labels: number[];
}

export interface NetworkTable {
  readonly header: Header;
  /** Returns the label of an address, given as 4 or 16 bytes, or null if it is in no network of the table. */
  labelOf(bytes: readonly number[]): string | null;
}

export function encodeTable(origin: Pick<Header, 'source' | 'date' | 'labels'>, ipv4: Ranges<number>, ipv6: Ranges<bigint>): Buffer {
  const header: Header = { ...origin, ipv4: ipv4.starts.length, ipv6: ipv6.starts.length };
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  const body = Buffer.alloc(6 * header.ipv4 + 10 * header.ipv6);
  let at = 0;
  for (const start of ipv4.starts) at = body.writeUInt32LE(start, at);
  for (const start of ipv6.starts) at = body.writeBigUInt64LE(start, at);
  for (const label of [...ipv4.labels, ...ipv6.labels]) at = body.writeUInt16LE(label, at);
  return Buffer.concat([line, body]);
}

/** Reads a table. Throws `bad-settings` if the file is damaged. */
export async function readTable(path = fileURLToPath(new URL('networks.bin', import.meta.url))): Promise<NetworkTable> {
  const bytes = await readFile(path);
  const lineEnd = bytes.indexOf('\n');
  const damaged = (): ClickledgerError => new ClickledgerError('bad-settings', `${path} is damaged. Install clickledger again.`);
  let header: Header;
  try {
    header = headerSchema.parse(JSON.parse(bytes.toString('utf8', 0, lineEnd)));
  } catch {
    throw damaged();
  }
  const { ipv4, ipv6, labels } = header;
  const body = bytes.subarray(lineEnd + 1);
  if (body.length !== 6 * ipv4 + 10 * ipv6) throw damaged();
  const at6 = 4 * ipv4;
  const labels4 = at6 + 8 * ipv6;
  const starts4 = Uint32Array.from({ length: ipv4 }, (_, i) => body.readUInt32LE(4 * i));
  const starts6 = BigUint64Array.from({ length: ipv6 }, (_, i) => body.readBigUInt64LE(at6 + 8 * i));
  const labelAt = (index: number): string | null => labels[body.readUInt16LE(labels4 + 2 * index) - 1] ?? null;

  return {
    header,
    labelOf(address) {
      const number = (from: number): number => address.slice(from, from + 4).reduce((sum, byte) => sum * 256 + byte, 0);
      if (address.length === 4) {
        const index = lastNotAbove(starts4, number(0));
        return index < 0 ? null : labelAt(index);
      }
      const index = lastNotAbove(starts6, (BigInt(number(0)) << 32n) | BigInt(number(4)));
      return index < 0 ? null : labelAt(ipv4 + index);
    },
  };
}

/** Returns the index of the last start that is not above the address, or -1. */
function lastNotAbove<Address extends number | bigint>(starts: ArrayLike<Address>, address: Address): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as Address) <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
