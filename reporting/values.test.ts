import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { PSQL } from '../test/support/psql.ts';
import { textOf } from '../test/support/results.ts';
import { runs } from '../test/support/runs.ts';
import { parseArray } from './column-types.ts';
import { toCsv } from './format/csv.ts';
import { toHtml } from './format/html.ts';
import { jsonText, toJson, uniqueNames } from './format/json.ts';
import { toMarkdown } from './format/markdown.ts';
import { parseReport } from './report-file.ts';
import { type ResultStream, type RunOptions, streamReport } from './run-report.ts';

// Tests that every output format has the values of Postgres unchanged. CSV is compared with `psql --csv`. The other formats are compared
// with the expected values.

const url = `${inject('clusterUrl')}/postgres`;
let pool: Pool;

beforeAll(() => {
  pool = createPool(url, { max: 1, name: 'test' });
});
afterAll(() => pool.end());

const options: RunOptions = { timeoutSeconds: 20, zone: 'UTC' };
const report = (sql: string) => parseReport('x', { path: 'x.sql', label: 'x.sql', text: sql });

function format(sql: string, write: (stream: ResultStream) => AsyncIterable<string>, more: Partial<RunOptions> = {}): Promise<string> {
  return streamReport(pool, report(sql), {}, { ...options, ...more }, (stream) => textOf(write(stream)));
}

async function psqlCsv(sql: string, zone = 'UTC'): Promise<string> {
  const { stdout } = await promisify(execFile)(PSQL as string, ['-X', '-q', '--csv', '-d', url, '-c', sql], {
    env: { ...process.env, PGTZ: zone },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
const number = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(9007199254740993n, 0n, -1n));
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((t) => t.replaceAll(/\0|\p{Cs}/gu, '')),
  fc.constantFrom('"', ',', '\r\n', '\n', ' a ', ';', '\t', '\\.', '\\', 'NULL', '{a}', '=1+1', '+49 1', '\x1b[31m', '', 'Jürgen', '💩'),
);
const instant = fc.integer({ min: 0, max: 4_102_444_800 });
const micros = fc.integer({ min: 0, max: 999_999 });

/** SQL expressions of all relevant types, with generated values. */
const expression = fc.oneof(
  number.map((n) => `'${n}'::bigint`),
  number.map((n) => `'${n}'::bigint::numeric / 1000`),
  fc.tuple(number, fc.nat(30)).map(([n, scale]) => `('${n}'::numeric * 123456789012345678901234567890)::numeric(100, ${scale})`),
  fc.double().map((n) => `'${Number.isNaN(n) ? 'NaN' : String(n)}'::float8`),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '1e-7', '1e300', '-0').map((n) => `'${n}'::float8`),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0.10', '1.0e10').map((n) => `'${n}'::numeric`),
  fc.integer({ min: -32_768, max: 32_767 }).map((n) => `'${n}'::int2`),
  fc.boolean().map((b) => `${b}::boolean`),
  text.map((t) => literal(t)),
  text.map((t) => `${literal(t)}::varchar`),
  fc.tuple(instant, micros).map(([s, us]) => `to_timestamp(${s}) + interval '${us} microseconds'`),
  fc.tuple(instant, micros).map(([s, us]) => `(to_timestamp(${s}) + interval '${us} microseconds')::timestamp`),
  instant.map((s) => `to_timestamp(${s})::date`),
  fc.constantFrom('infinity', '-infinity', '0044-03-15 BC').map((t) => `'${t}'::timestamptz`),
  fc.tuple(fc.integer({ min: -1e6, max: 1e6 }), micros).map(([s, us]) => `interval '${s} seconds ${us} microseconds'`),
  fc.constant(`interval '1 year 2 months -3 days'`),
  fc.constant(`time '12:34:56.789012'`),
  fc.array(text, { maxLength: 4 }).map((list) => `ARRAY[${list.map(literal).join(',')}]::text[]`),
  fc
    .array(fc.option(number), { maxLength: 4 })
    .map((list) => `ARRAY[${list.map((n) => (n === null ? 'NULL' : `'${n}'`)).join(',')}]::bigint[]`),
  fc.constant(`'{{1,2},{3,4}}'::int[]`),
  fc.constant(`'[2:3]={7,8}'::int[]`),
  fc.constant(`ARRAY[true, false, NULL]`),
  fc.json().map((j) => `${literal(j.replaceAll('\\u0000', ''))}::json`),
  fc.json().map((j) => `${literal(j.replaceAll(/\\u(?:0000|d[89a-f]..)/gi, ''))}::jsonb`),
  fc.uint8Array({ maxLength: 8 }).map((b) => `'\\x${Buffer.from(b).toString('hex')}'::bytea`),
  fc.uuid().map((u) => `'${u}'::uuid`),
  fc.constantFrom(
    `'10.0.0.1/8'::inet`,
    `'(1,2)'::point`,
    `'[1,5)'::int4range`,
    `'12.34'::money`,
    `B'101'`,
    `ROW(1, 'a,b')`,
    `'a b'::tsvector`,
  ),
  fc.constant('NULL::bigint'),
);

describe.skipIf(PSQL === undefined)('CSV', () => {
  test('is byte for byte what psql --csv prints, whatever the types and values', async () => {
    const column = fc.array(expression, { minLength: 1, maxLength: 12 });
    const zones = fc.constantFrom('UTC', 'Asia/Kathmandu', 'America/New_York', 'Pacific/Apia');
    await fc.assert(
      fc.asyncProperty(column, zones, async (expressions, zone) => {
        const sql = `SELECT ${expressions.join(', ')}`;
        expect(await format(sql, toCsv, { zone })).toBe(await psqlCsv(sql, zone));
      }),
      runs(80),
    );
  }, 120_000);

  test.each([
    'SELECT 1 AS "a,b", 2 AS "a ""b""", 3 AS a, 4 AS a',
    'SELECT NULL, true, false, $$$$',
    'SELECT 1 WHERE false',
    'SELECT n, repeat($$x"$$, n) FROM generate_series(1, 2500) n',
    'SELECT FROM generate_series(1, 3)',
  ])('%s', async (sql) => {
    expect(await format(sql, toCsv)).toBe(await psqlCsv(sql));
  });
});

describe('JSON', () => {
  test('is valid and has the digits of every number, the values of json and the elements of arrays', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(expression, { minLength: 1, maxLength: 12 }), async (expressions) => {
        const names = expressions.map((_, i) => `c${i}`);
        const sql = `SELECT ${expressions.map((e, i) => `${e} AS c${i}`).join(', ')}`;
        const json = await format(sql, toJson);
        const [parsed] = JSON.parse(json) as [Record<string, unknown>];
        expect(Object.keys(parsed)).toEqual(names);
        const { rows } = await pool.query<string[]>({ text: sql, rowMode: 'array', types: { getTypeParser: () => (t: string) => t } });
        const kinds = await pool.query<{ kinds: string[] }>(
          `SELECT ARRAY[${names.map((n) => `pg_typeof(${n})::text`).join(',')}] AS kinds FROM (${sql}) x`,
        );
        for (const [i, name] of names.entries()) {
          const [value, kind] = [rows[0]?.[i], kinds.rows[0]?.kinds[i] as string];
          if (value === null) expect(parsed[name]).toBeNull();
          else if (/^(?:bigint|smallint|numeric|double precision)$/.test(kind) && /\d/.test(value as string))
            expect(json).toContain(`"${name}": ${value}`);
          else if (/^jsonb?$/.test(kind)) expect(parsed[name]).toEqual(JSON.parse(value as string));
          else if (kind === 'boolean') expect(parsed[name]).toBe(value === 't');
          else if (kind === 'text[]') expect(parsed[name]).toEqual(await elementsOf(expressions[i] as string));
          else if (typeof parsed[name] === 'string') expect(parsed[name]).toBe(value);
        }
      }),
      runs(60),
    );
  }, 120_000);

  async function elementsOf(sql: string): Promise<unknown> {
    return (await pool.query<{ a: unknown }>(`SELECT to_json(${sql}) AS a`)).rows[0]?.a;
  }

  test('numbers and arrays', async () => {
    const sql = `SELECT 9007199254740993::bigint AS b, 0.10 AS n, 'NaN'::float8 AS f, ARRAY[9007199254740993, NULL] AS a, '{"x": 1}'::json AS j, '[0:1]={1,2}'::int[] AS o`;
    expect(await format(sql, toJson)).toBe(
      `[\n  {\n    "b": 9007199254740993,\n    "n": 0.10,\n    "f": "NaN",\n    "a": [9007199254740993,null],\n    "j": {"x": 1},\n    "o": "[0:1]={1,2}"\n  }\n]\n`,
    );
    expect(await format('SELECT 1 WHERE false', toJson)).toBe('[]\n');
  });

  test('columns of one name are numbered', async () => {
    expect(JSON.parse(await format('SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a, 5 AS "__proto__"', toJson))).toEqual(
      JSON.parse('[{"a": 1, "a_3": 2, "a_2": 3, "a_4": 4, "__proto__": 5}]'),
    );
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'a_2', 'a_3', 'b', '')), (names) => {
        const unique = uniqueNames(names);
        expect(new Set(unique).size).toBe(names.length);
        for (const [i, name] of names.entries()) expect(unique[i]?.startsWith(name)).toBe(true);
      }),
    );
  });

  test('a text that only looks like an array is a text', () => {
    for (const bad of ['{', '{a', '{a}}', 'a', '', '{"a}', '{a,}b', '[1:2]={1,2}']) {
      expect(parseArray(bad)).toBeUndefined();
      expect(jsonText(bad, 1009)).toBe(JSON.stringify(bad));
    }
  });
});

test('pages and Markdown have all digits', async () => {
  const sql = `SELECT 9007199254740993::bigint AS hits, 9007199254740993::bigint AS visitor_id, 1234567.10::numeric AS n, '2030-05-01 08:00:00.123456+00'::timestamptz AS at, '2030-05-01 08:00+00'::timestamptz AS then`;
  const markdown = await format(sql, (stream) => toMarkdown(stream, undefined));
  expect(markdown).toContain(
    '| 9007199254740993 | 9007199254740993 | 1234567.10 | 2030-05-01 08:00:00.123456 UTC | 2030-05-01 08:00 UTC |',
  );
  const html = await format(sql, (stream) => toHtml(stream, undefined), { zone: 'Asia/Kathmandu' });
  for (const cell of [
    '9,007,199,254,740,993',
    '>9007199254740993<',
    '1,234,567.10',
    '2030-05-01 13:45:00.123456 +05:45',
    '2030-05-01 13:45 +05:45',
  ])
    expect(html).toContain(cell);
  expect(html).toContain('datetime="2030-05-01T13:45:00.123+05:45"');
});
