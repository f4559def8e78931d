import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addCampaign, addHits } from '../support/campaigns.ts';
import { clickledger, createDataDirectory } from '../support/commands.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { temporaryDirectory } from '../support/servers.ts';
import { readXlsx } from '../support/xlsx.ts';

// Tests the output of reports to a terminal, a pipe, a file and a spreadsheet, also with many rows and with unusual content.

const FULL = process.env['PRESSURE'] === 'full';
const ROWS = FULL ? 1_000_000 : 200_000;
/** The limit of the peak of the resident memory: 150 MB. */
const MAX_MIB = 143;
const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const SCRIPT = '/usr/bin/script';
/** A name with control characters that would change the colour, the title and the cursor of a terminal. */
const ESCAPES = 'red \x1b[31m sale \x1b]0;title\x07 \x9b2J \u202e gnp.exe';

let databases: Databases;
let data: string;

beforeAll(async () => {
  databases = await createDatabases(2);
  const { campaign, links } = await addCampaign(databases, ESCAPES, 5);
  await addHits(databases, { campaign, link: links[0] as number, kind: 'click', people: 3 });
});

beforeEach(async () => {
  data = await createDataDirectory(databases, { TIMEZONE: 'europe/berlin' });
});

async function reportFile(sql: string): Promise<string> {
  const file = join(await temporaryDirectory(), 'mine.sql');
  await writeFile(file, sql);
  return file;
}

/** Runs a command on a terminal and returns its output. */
async function onTerminal(...args: string[]): Promise<string> {
  const command = [execPath, MAIN, '--data', data, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn(SCRIPT, ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await once(child, 'close');
  return shown.replaceAll('\r\n', '\n').replaceAll(/\x1b\[\d*m/g, '');
}

/** Runs a command and returns its peak memory in MiB, its exit code, and the number of bytes of its output. */
async function measure(args: string[], onData?: (bytes: number, child: ReturnType<typeof spawn>) => void) {
  const child = spawn(execPath, [MAIN, '--data', data, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [peakKib, bytes, errors] = [0, 0, ''];
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    onData?.(bytes, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const timer = setInterval(() => {
    void readFile(`/proc/${child.pid}/status`, 'utf8').then(
      (status) => {
        peakKib = Math.max(peakKib, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0));
      },
      () => undefined,
    );
  }, 25);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearInterval(timer);
  return { code, signal, errors, bytes, peakMib: peakKib / 1024 };
}

describe('how many rows there are', () => {
  const SQL = `SELECT n, 'row ' || n AS name FROM generate_series(1, 49000) n;`;

  test.skipIf(!existsSync(SCRIPT))('a terminal shows what fits, and says how many there are and how to get all', async () => {
    const file = await reportFile(SQL);
    const shown = await onTerminal('report', file);
    expect(shown).toContain('100 of 49,000 rows; --limit N shows more of them, --out FILE writes all.');
    expect(shown).toMatch(/\n *100 +row 100\n/);
    expect(shown).not.toContain('row 101');
    const all = await onTerminal('report', await reportFile(`SELECT n FROM generate_series(1, 100) n;`));
    expect(all).not.toContain(' of ');
    const limited = await onTerminal(
      'report',
      await reportFile(`-- parameter: limit  x\n${SQL.replace(';', " LIMIT :'limit'::int;")}`),
      '--limit',
      '150',
    );
    expect(limited).toContain('row 150');
    expect(limited).not.toContain('rows; --limit');
  });

  test('a pipe and a file have everything, in every format', async () => {
    const file = await reportFile(SQL);
    const directory = await temporaryDirectory();
    for (const [format, count] of [
      ['table', (text: string) => text.trimEnd().split('\n').length - 1],
      ['csv', (text: string) => text.trimEnd().split('\n').length - 1],
      ['json', (text: string) => (JSON.parse(text) as unknown[]).length],
      ['markdown', (text: string) => text.split('\n| ').length - 3],
      ['html', (text: string) => text.split('<tr><td').length - 1],
    ] as const) {
      const { code, stdout } = await clickledger(['--data', data, 'report', file, '--format', format]);
      expect({ format, code, rows: count(stdout) }).toEqual({ format, code: 0, rows: 49_000 });
      const out = join(directory, `x.${format}`);
      expect((await clickledger(['--data', data, 'report', file, '--format', format, '--out', out])).code).toBe(0);
      expect(await readFile(out, 'utf8')).toBe(stdout);
    }
    // No unfinished file is left.
    expect(await readdir(directory)).toHaveLength(5);
  });

  test('a file that cannot be finished leaves the old one', async () => {
    const directory = await temporaryDirectory();
    const out = join(directory, 'x.csv');
    await writeFile(out, 'old');
    const failing = await reportFile(`SELECT 1 / (5000 - n) FROM generate_series(1, 10000) n;`);
    expect(await clickledger(['--data', data, 'report', failing, '--out', out])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^clickledger: .*mine\.sql:1: a value cannot be used: division by zero\n/),
    });
    expect([await readFile(out, 'utf8'), await readdir(directory)]).toEqual(['old', ['x.csv']]);
  });

  test('the lists of report files are not cut', async () => {
    const own = await createDatabases(1);
    const settings = await createDataDirectory(own);
    await addCampaign(own, 'long', 3000);
    const { stdout } = await clickledger(['--data', settings, 'report', 'non-openers', '--campaign', 'long', '--format', 'csv']);
    expect(parse(stdout)).toHaveLength(3001);
    const few = await clickledger(['--data', settings, 'report', 'non-openers', '--campaign', 'long', '--limit', '7', '--format', 'csv']);
    expect(parse(few.stdout)).toHaveLength(8);
  });
});

describe.skipIf(!existsSync('/proc/self/status'))('a long report needs little memory', () => {
  const formats = FULL ? ['csv', 'table', 'json', 'markdown', 'html', 'xlsx'] : ['csv', 'xlsx'];
  test.each(formats)(
    `${ROWS.toLocaleString('en')} rows as %s`,
    async (format) => {
      const file = await reportFile(
        `SELECT n AS id, 'reader-' || n || '@example.com' AS recipient, now() - n * interval '1 second' AS at, n % 2 = 0 AS even FROM generate_series(1, ${ROWS}) n;`,
      );
      const out = join(await temporaryDirectory(), `x.${format}`);
      const startedMs = performance.now();
      const { code, errors, peakMib } = await measure(['report', file, '--format', format, '--out', out, '--timeout', '600']);
      process.stdout.write(
        `${format}: ${Math.round(peakMib)} MiB, ${((performance.now() - startedMs) / 1000).toFixed(1)} s, ${((await stat(out)).size / 1e6).toFixed(0)} MB\n`,
      );
      expect({ code, errors }).toEqual({ code: 0, errors: expect.stringContaining('bytes') });
      expect(peakMib).toBeLessThan(MAX_MIB);
    },
    240_000,
  );
});

describe('a spreadsheet', () => {
  test('has a header, types, widths, a frozen row and no formulas', async () => {
    const file = await reportFile(
      `SELECT 5 AS hits, 12.5::numeric AS percent, 9007199254740993::bigint AS visitor, true AS sent, '2030-05-01 08:00:00+00'::timestamptz AS at,
              '2030-05-01'::date AS day, '=HYPERLINK("http://x")' AS a, '+49 151' AS b, '@x' AS c, '-1+1' AS d, 'Jürgen 💩' AS e, NULL AS f, '' AS g,
              E'\\x1b[31m\\x01' AS h, 'NaN'::float8 AS i, '_x0041_' AS j, '#REF!' AS k, '2030-05-01 08:00:00.123456+00'::timestamptz AS l;`,
    );
    const out = join(await temporaryDirectory(), 'x.xlsx');
    expect(await clickledger(['--data', data, 'report', file, '--out', out])).toMatchObject({ code: 0, stdout: '' });
    const { rows, xml } = await readXlsx(await readFile(out));
    const [head, row = []] = rows;
    expect(head).toEqual(['hits', 'percent', 'visitor', 'sent', 'at', 'day', ...'abcdefghijkl'.split('')]);
    expect(row.slice(0, 4)).toEqual([5, 12.5, '9007199254740993', true]);
    // Berlin is two hours ahead of UTC. Times in a spreadsheet have no zone, so they are local times.
    expect(row[4]).toEqual(new Date('2030-05-01T10:00:00Z'));
    expect(row[5]).toEqual(new Date('2030-05-01T00:00:00Z'));
    expect(row.slice(6, 11)).toEqual(['=HYPERLINK("http://x")', '+49 151', '@x', '-1+1', 'Jürgen 💩']);
    expect(row.slice(13)).toEqual(['\x1b[31m\x01', 'NaN', '_x0041_', '#REF!', '2030-05-01 10:00:00.123456+02']);
    expect(xml).not.toMatch(/<f[ >]/);
    expect(xml).toContain('state="frozen"');
    expect(xml).toMatch(/<cols><col min="1" max="1" width="[\d.]+"/);
  });

  test('of more rows than a sheet holds goes on in another one', async () => {
    if (!FULL) return;
    const out = join(await temporaryDirectory(), 'x.xlsx');
    const file = await reportFile('SELECT n FROM generate_series(1, 1100000) n;');
    expect((await clickledger(['--data', data, 'report', file, '--out', out])).code).toBe(0);
    expect((await readXlsx(await readFile(out))).rows).toHaveLength(1_100_002);
  }, 240_000);
});

describe('a reader that closes the pipe', () => {
  test.each(['csv', 'table', 'json', 'html'])('ends a long report as %s quietly', async (format) => {
    const file = await reportFile(`SELECT n, repeat('x', 100) FROM generate_series(1, 10000000) n;`);
    let isClosed = false;
    const startedMs = performance.now();
    const { code, signal, errors } = await measure(['report', file, '--format', format, '--timeout', '600'], (_, child) => {
      if (!isClosed) child.stdout?.destroy();
      isClosed = true;
    });
    expect({ code, signal, errors: errors.replace('mine\n', '') }).toEqual({ code: 0, signal: null, errors: '' });
    expect(performance.now() - startedMs).toBeLessThan(40_000);
  });

  test.each(['campaign sent --help', '--help', 'report', 'report --json', 'campaign list', 'report campaign-summary'])(
    'ends %s quietly',
    async (words) => {
      const command = [execPath, MAIN, '--data', data, ...words.split(' ')].map((word) => `'${word}'`).join(' ');
      // The reader has exited before the command writes anything.
      const child = spawn('/bin/sh', ['-c', `{ sleep 0.2; ${command}; echo "code $?" >&2; } | true`], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      await once(child, 'close');
      expect(errors).toMatch(/code 0\n$/);
      expect(errors).not.toMatch(/EPIPE|\n {4}at /);
    },
  );
});

describe('nothing from outside reaches a terminal raw', () => {
  const RAW = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

  test('not in tables, notes and errors', async () => {
    for (const args of [
      ['campaign', 'list'],
      ['campaign', 'sent', ESCAPES],
      ['campaign', 'sent', `${ESCAPES}!`],
      ['report', 'campaign-summary'],
      ['report', 'campaign-summary', '--campaign', `${ESCAPES}?`],
      ['report', 'clicks-by-hour', '--timezone', '\x1b[31mBerlin'],
      ['report', 'clicks-by-hour', '--from', '\x1b[31m'],
      ['report', '\x1b[31m'],
      ['\x1b[31m'],
      ['report', await reportFile(`\\echo \x1b[31m\nSELECT 1 AS "\x1b[31m", 'x' AS y;`)],
      ['report', await reportFile(`SELECT nothing AS "\x1b[31m";`)],
    ]) {
      const { stdout, stderr } = await clickledger(['--data', data, ...args]);
      expect({ args, raw: RAW.exec(stdout + stderr) }).toEqual({ args, raw: null });
    }
  });

  test.skipIf(!existsSync(SCRIPT))('not in any format on a terminal; a pipe gets the values as they are', async () => {
    for (const format of ['csv', 'json', 'markdown', 'html'])
      expect({ format, raw: RAW.exec(await onTerminal('report', 'campaign-summary', '--format', format)) }).toEqual({ format, raw: null });
    const { stdout } = await clickledger(['--data', data, 'report', 'campaign-summary', '--format', 'csv']);
    expect(stdout).toContain(ESCAPES);
  });
});

test('the setting TIMEZONE is the zone of reports and of dates that authors type', async () => {
  const { stdout, stderr } = await clickledger(['--data', data, 'report', 'clicks-by-hour', '--from', '2030-05-01', '--to', '2030-05-01']);
  expect(stderr).toContain('By the clock of Europe/Berlin: from 2030-05-01 00:00 +02:00 to 2030-05-01 23:59:59 +02:00.');
  expect(stdout).toContain('2030-05-01 11:00');
  expect((await clickledger(['--data', data, 'campaign', 'sent', ESCAPES, '--at', '2030-05-01'])).stderr).toContain(
    'sent at 2030-05-01 00:00 +02:00 (Europe/Berlin)',
  );
  const bad = await createDataDirectory(databases, { TIMEZONE: 'CET' });
  expect((await clickledger(['--data', bad, 'report', 'clicks-by-hour'])).stderr).toMatch(
    /^clickledger: TIMEZONE: 'CET' is an abbreviation/,
  );
});
