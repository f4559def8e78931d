import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { OPERATORS } from '../core/network-kinds.ts';
import { encodeTable, type Ranges } from './network-table.ts';

// `npm run networks`: makes networks.bin from public routing data, the package @ip-location-db/asn (RouteViews, DB-IP and NRO, CC BY 4.0). The
// package has every announced range of addresses with the number and the name of its autonomous system. The table keeps the ranges of the
// operators in core/autonomous-systems.json.

const PACKAGE = '@ip-location-db/asn';
export const TABLE_PATH = fileURLToPath(new URL('networks.bin', import.meta.url));
const MATCHERS = OPERATORS.map(({ names = [], numbers = [] }) => ({
  names: names.map((name) => new RegExp(name, 'iu')),
  numbers: new Set(numbers),
}));
// In the package, a name with a comma is in quotes.
const LINE = /^(\d+),(\d+),(\d+),"?(.*?)"?\r?$/;

/** Makes the table from the installed package. */
export async function buildTable(): Promise<Buffer> {
  const manifest = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  // The last part of the version is a day, e.g. 2.3.2026061719: day and hour.
  const [, year, month, day] = /\.(\d{4})(\d{2})(\d{2})\d{0,2}$/.exec(version) ?? [];
  const read = (family: string) => readRanges(join(dirname(manifest), `asn-${family}-num.csv`));
  const ipv4 = await read('ipv4');
  const ipv6 = await read('ipv6');
  // A range of IPv6 that is smaller than a /64 gets the whole /64.
  const halves = ipv6.map(({ start, end, label }) => ({ start: start >> 64n, end: end >> 64n, label }));
  return encodeTable(
    { source: `${PACKAGE} ${version}`, date: `${year}-${month}-${day}`, labels: OPERATORS.map(({ label }) => label) },
    toRanges(ipv4.map(({ start, end, label }) => ({ start: Number(start), end: Number(end), label }))),
    toRanges(halves),
  );
}

interface Range<Address> {
  start: Address;
  end: Address;
  /** The number of the label, from 1. */
  label: number;
}

/** Reads the ranges of listed operators, in the order of the file, which is the order of addresses. */
async function readRanges(path: string): Promise<Range<bigint>[]> {
  const ranges: Range<bigint>[] = [];
  const labels = new Map<string, number>();
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
    const [, start = '', end = '', number = '', name = ''] = LINE.exec(line) ?? [];
    const key = `${number} ${name}`;
    const label =
      labels.get(key) ?? 1 + MATCHERS.findIndex((one) => one.numbers.has(Number(number)) || one.names.some((each) => each.test(name)));
    labels.set(key, label);
    if (label > 0) ranges.push({ start: BigInt(start), end: BigInt(end), label });
  }
  return ranges;
}

/** Joins neighbours with the same label, and adds ranges without a label for the gaps. */
export function toRanges<Address extends number | bigint>(ranges: readonly Range<Address>[]): Ranges<Address> {
  const result: Ranges<Address> = { starts: [], labels: [] };
  const after = (address: Address): Address => (typeof address === 'bigint' ? address + 1n : (address as number) + 1) as Address;
  let next: Address | undefined;
  const add = (start: Address, label: number): void => {
    if (result.labels.at(-1) === label) return;
    result.starts.push(start);
    result.labels.push(label);
  };
  for (const { start, end, label } of ranges) {
    if (next !== undefined && start > next) add(next, 0);
    // Two small ranges of one /64 overlap. The first one keeps it.
    const from = next !== undefined && next > start ? next : start;
    if (end < from) continue;
    add(from, label);
    next = after(end);
  }
  // Nothing follows the last address of a family.
  if (next !== undefined && next < (typeof next === 'bigint' ? 2n ** 64n : 2 ** 32)) add(next, 0);
  return result;
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) {
  const table = await buildTable();
  await writeFile(TABLE_PATH, table);
  process.stdout.write(`${TABLE_PATH}: ${table.length.toLocaleString('en')} bytes\n`);
}
