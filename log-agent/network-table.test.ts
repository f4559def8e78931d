import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { networkKindOf, OPERATORS } from '../core/network-kinds.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { buildTable, TABLE_PATH, toRanges } from './build-networks.ts';
import { encodeTable, readTable } from './network-table.ts';

const LABELS = ['one', 'two', 'three'];
const ORIGIN = { source: 'test 1', date: '2030-05-01', labels: LABELS };

async function tableOf(bytes: Buffer) {
  const path = join(await temporaryDirectory(), 'networks.bin');
  await writeFile(path, bytes);
  return readTable(path);
}

const bytesOf = (address: number): number[] => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);

describe('a table of networks', () => {
  test('finds the label of every address, as a search through all ranges does', async () => {
    const gapsAndSizes = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 })),
      {
        minLength: 1,
        maxLength: 30,
      },
    );
    await fc.assert(
      fc.asyncProperty(gapsAndSizes, fc.integer({ min: 0, max: 0xffff_ff00 }), async (parts, from) => {
        let next = from;
        const ranges = parts.map(([gap, size, label]) => {
          const start = next + gap;
          next = start + size;
          return { start, end: next - 1, label };
        });
        const wide = ranges.map(({ start, end, label }) => ({
          start: BigInt(start) << 32n,
          end: (BigInt(end) << 32n) | 0xffff_ffffn,
          label,
        }));
        const table = await tableOf(encodeTable(ORIGIN, toRanges(ranges), toRanges(wide)));
        for (let address = Math.max(0, from - 2); address < next + 2; address++) {
          const found = ranges.find(({ start, end }) => start <= address && address <= end);
          const expected = found === undefined ? null : LABELS[found.label - 1];
          expect(table.labelOf(bytesOf(address))).toBe(expected);
          expect(table.labelOf([...bytesOf(address), ...Array.from({ length: 12 }, () => 255)])).toBe(expected);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('of two ranges in one /64, the first one gets it', async () => {
    const table = await tableOf(
      encodeTable(
        ORIGIN,
        toRanges<number>([]),
        toRanges([
          { start: 5n, end: 5n, label: 1 },
          { start: 5n, end: 6n, label: 2 },
        ]),
      ),
    );
    const labelOf = (low: number) => table.labelOf([0, 0, 0, 0, 0, 0, 0, low, 9, 9, 9, 9, 9, 9, 9, 9]);
    expect([4, 5, 6, 7].map(labelOf)).toEqual([null, 'one', 'two', null]);
  });

  test('a damaged file is refused', async () => {
    const bytes = encodeTable(ORIGIN, toRanges([{ start: 1, end: 5, label: 1 }]), toRanges<bigint>([]));
    for (const damaged of [bytes.subarray(0, -1), bytes.subarray(3), Buffer.alloc(0), Buffer.concat([bytes, Buffer.alloc(1)])])
      await expect(tableOf(damaged)).rejects.toMatchObject({ code: 'bad-settings' });
  });
});

describe('the table of this version', () => {
  test('is what `npm run networks` makes from the installed package', async () => {
    expect((await buildTable()).equals(await readFile(TABLE_PATH))).toBe(true);
  }, 60_000);

  test('knows networks of every kind, in both families', async () => {
    const table = await readTable();
    const kindOf = (ip: string) => {
      const label = table.labelOf(ipaddr.parse(ip).toByteArray());
      return `${label} ${networkKindOf(label)}`;
    };
    expect(kindOf('52.95.110.1')).toBe('amazon hosting');
    expect(kindOf('20.50.2.1')).toBe('microsoft hosting');
    expect(kindOf('2a01:4f8::1')).toBe('hetzner hosting');
    expect(kindOf('51.89.1.1')).toBe('ovh hosting');
    expect(kindOf('1.1.1.1')).toBe('cloudflare proxy');
    expect(kindOf('2606:4700::1111')).toBe('cloudflare proxy');
    // Access providers are not listed.
    for (const ip of ['84.128.0.1', '2003::1', '73.0.0.1', '10.0.0.1', '::1']) expect(kindOf(ip)).toBe('null undefined');
  });

  test('every operator has a network, and a source', async () => {
    const { header } = await readTable();
    expect(header.labels).toEqual(OPERATORS.map(({ label }) => label));
    for (const { source } of OPERATORS) expect(source).toMatch(/^https:\/\//);
  });
});
