import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { PSQL } from '../test/support/psql.ts';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { readScript } from './psql-script.ts';
import { readReport } from './report-file.ts';
import { runReport } from './run-report.ts';

const url = `${inject('clusterUrl')}/postgres`;
const options = { timeoutSeconds: 10, zone: 'UTC' };

async function write(files: Record<string, string>): Promise<string> {
  const directory = await temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  return join(directory, 'main.sql');
}

/** Runs a file as a report. Returns its rows and messages, or throws its error. */
async function ours(
  file: string,
  values: Record<string, string> = {},
): Promise<{ rows: (string | null)[][]; messages: readonly string[] }> {
  const pool = createPool(url, { max: 1, name: 'test' });
  try {
    const { rows, messages } = await runReport(pool, await readReport(file), values, options);
    return { rows, messages };
  } finally {
    await pool.end();
  }
}

/** Runs a file with psql. Returns the printed lines, one for each row and each \echo. */
async function psqlLines(file: string, values: Record<string, string> = {}): Promise<string[]> {
  const variables = Object.entries(values).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  const flags = ['-X', '-q', '-A', '-t', '-F', '\x1f', '-v', 'ON_ERROR_STOP=1', ...variables, '-d', url, '-f', file];
  const { stdout } = await promisify(execFile)(PSQL as string, flags, { env: { ...process.env, PGTZ: 'UTC' } });
  return stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n');
}

/** Expects that a file has the same output with psql. Each statement must return one row without line breaks. */
async function expectSame(files: Record<string, string>, values: Record<string, string> = {}): Promise<void> {
  const file = await write(files);
  const { rows, messages } = await ours(file, values);
  const lines = await psqlLines(file, values);
  const printed = lines.filter((line) => !line.startsWith('E:'));
  expect(rows.map((row) => row.map((value) => value ?? '').join('\x1f'))).toEqual(rows.length === 0 ? [] : printed.slice(-rows.length));
  expect(messages).toEqual(lines.filter((line) => line.startsWith('E:')));
}

const FILES: [what: string, text: string][] = [
  ['a variable in a dollar quote', `\\set z 1\nSELECT $$a:'z'b:z$$, $t$:'z'$t$, :'z', :z;`],
  [
    'a variable in quotes and comments',
    `\\set z 1\nSELECT ':z', ':''z''' , ":z".* -- :z ' $$\n FROM (SELECT /* :z /* ' */ " */ 1) AS ":z";`,
  ],
  ['quotes with escapes', `\\set z 1\nSELECT E'\\' :z', E'a'' :z', 'a\\', :'z', U&'\\0061', B'1', X'1F', N'x';`],
  [
    'casts, slices and assignments',
    `\\set z 2\nSELECT '1'::int, (ARRAY[1,2,3])[1:2], (ARRAY[1,2,3])[:z:3], make_interval(days := 3), :z::text;`,
  ],
  ['nested branches', `\\if true\n\\if false\nSELECT 1;\n\\else\nSELECT 2;\n\\endif\n\\else\nSELECT 3;\n\\endif`],
  ['\\elif', `\\set n 2\n\\if off \nSELECT 1;\n\\elif yes\nSELECT 2;\n\\elif on\nSELECT 3;\n\\else\nSELECT 4;\n\\endif`],
  ['branches within a statement', `SELECT 1 \\if false\n, (2 \\else\n, 3 \\endif\n, (4);`],
  ['a semicolon in a branch that is not taken', `SELECT 1 \\if false\n; SELECT 2; \\endif\n, 3;`],
  ['several statements', `SELECT 1; SET TimeZone = 'Asia/Tokyo'; SELECT 2; SELECT current_setting('TimeZone');`],
  ['a statement after the last rows', `SELECT 1; SET TimeZone = 'Asia/Tokyo';`],
  ['a file without a last semicolon', `SELECT 1;\nSELECT 2 -- end`],
  ['only comments between semicolons', `SELECT 1; -- x\n; /* y */ ;\n`],
  ['\\set and its values', `\\set a 'it''s' " b" 'c\\td' x'y'\n\\set b\n\\set c :a - :'a'\nSELECT :'a', :'b', :'c';`],
  ['\\unset', `\\set a 1\n\\unset a\nSELECT :{?a}, ':a';`],
  ['\\echo', `\\set a 'x y'\n\\echo E: :a :'a' 'b  c' "d" :{?a} :nope\n\\if no\n\\echo E: never\n\\endif\nSELECT 1;`],
  ['tested variables in a statement', `\\set a 1\nSELECT :{?a}, :{?b};`],
  [
    'values that are SQL',
    `\\set w 'WHERE n > 1 AND ''a'' = ''a'''\n\\set q 'SELECT n FROM generate_series(1, 3) n'\n:q :w ORDER BY n DESC LIMIT 1;`,
  ],
  ['values in values', `\\set z 5\n\\set inner ':z + 1'\n\\set outer '(:inner) * 2'\nSELECT :outer;`],
  ['a value that contains itself', `\\set a '1 -- :a'\nSELECT :a\n;`],
  ['a value with a semicolon', `\\set q 'SELECT 7;'\n:q`],
  ['commands on one line', `\\if :{?a} \\else \\set a 'b' \\endif \\\\ SELECT :'a';`],
  ['\\; and \\:', `\\set z 1\nSELECT 1\\; SELECT '2', '\\:z';`],
  ['functions with a body in quotes', `SELECT $f$ BEGIN; :'z' END; $f$;`],
  ['identifiers with dollars', `SELECT a$b$c, 1 FROM (SELECT 3 AS a$b$c) x;`],
  ['a parameter of a type', `SELECT '{"a": ":b"}'::json ->> 'a';`],
  ['a byte order mark and Windows line ends', `\ufeff\\set a 'x'\r\n\\if true\r\nSELECT :'a';\r\n\\endif\r\n`],
  ['explain and show', `SET work_mem = '8MB'; SHOW work_mem;`],
  ['values and tables', `VALUES (1, 'a');`],
  ['parentheses', `(SELECT 1) UNION (SELECT 1);`],
  ['operators that look like comments', `SELECT 5 - -3, 2 */* x */3, 1 --\n+ 1;`],
];

describe.skipIf(PSQL === undefined)('a file gives what psql gives', () => {
  test.each(FILES)('%s', async (_, text) => {
    await expectSame({ 'main.sql': text });
  });

  test('included files, by their own path, with their own statements', async () => {
    await expectSame({
      'main.sql': `\\set who main\nSELECT 1\n\\ir below/a.sql\n, 2;\n\\ir below/last.sql\nSELECT :'who';`,
      'below/a.sql': `\\echo E: :who\n\\set who a\nSELECT 'in a'\n`,
      'below/last.sql': `\\ir 'deeper/b.sql'\n`,
      'below/deeper/b.sql': `\\set who :who b\nSELECT 8;`,
    });
  });

  test('values from outside', async () => {
    const text = `\\if :{?a} \\else \\set a 'none' \\endif\nSELECT :'a', $$:'a'$$;`;
    for (const value of [`'; SELECT 1; --`, `\\'; x`, '\\', `:'a'`, ':a', '$1', '$$', '%', '"', `''`, 'é💩', ''])
      await expectSame({ 'main.sql': text }, { a: value });
  });

  test('generated files', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'n1');
    const quotedText = fc.string({ unit: fc.constantFrom('a', ':', "'", '"', '$', '\\', ' ', ';', '-', '/', '*', '(', ')'), maxLength: 8 });
    const argument = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
    const expression = fc.oneof(
      name.map((n) => `:'${n}'`),
      name.map((n) => `:{?${n}}::text`),
      name.map((n) => `$$:'${n}' ; \\if '$$`),
      name.map((n) => `$q$ $$:${n}$$ $q$`),
      name.map((n) => `':${n};--'`),
      quotedText.map((t) => `'${t.replaceAll("'", "''")}'`),
      quotedText.map((t) => `E'${t.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`),
      fc.constant(`'x' -- :'a' ' $$\n`),
      fc.constant(`/* :'a' ; ' /* */ */ 'y'`),
      fc.constant(`(ARRAY['1','2'])[1:2]::text`),
    );
    const select = fc
      .array(expression, { minLength: 1, maxLength: 4 })
      .map((list) => `SELECT ${list.map((e) => `to_json((${e})::text)`).join(', ')};\n`);
    const set = fc.tuple(name, quotedText).map(([n, t]) => `\\set ${n} ${argument(t)}\n`);
    const simple = fc.oneof(
      select,
      set,
      name.map((n) => `\\unset ${n}\n`),
      fc.tuple(name, name).map(([n, m]) => `\\set ${n} x:{?${m}}y\n`),
      fc.constant(`SET LOCAL work_mem = '4MB';\n`),
    );
    const condition = fc.oneof(
      fc.constantFrom('true', 'off', '1', '0', 'yes', 'fal', 'On'),
      name.map((n) => `:{?${n}}`),
    );
    const { block } = fc.letrec<{ block: string; branch: string }>((tie) => ({
      block: fc.array(fc.oneof({ maxDepth: 3 }, simple, tie('branch')), { maxLength: 4 }).map((parts) => parts.join('')),
      branch: fc
        .tuple(condition, tie('block'), fc.option(fc.tuple(condition, tie('block'))), fc.option(tie('block')))
        .map(
          ([c, body, elif, other]) =>
            `\\if ${c}\n${body}${elif ? `\\elif ${elif[0]}\n${elif[1]}` : ''}${other === null ? '' : `\\else\n${other}`}\\endif\n`,
        ),
    }));
    await fc.assert(
      fc.asyncProperty(block, select, fc.dictionary(name, quotedText, { maxKeys: 2 }), async (body, last, values) => {
        // All variables get a value, because the name of a variable without a value would be sent to Postgres. A variable that the file
        // sets cannot be given a value from outside.
        const text = `\\set a 1\n\\set b 2\n\\if :{?c} \\else \\set c 3 \\endif\n\\if :{?n1} \\else \\set n1 4 \\endif\n${body.replaceAll(/\\unset \w+\n/g, '')}${last}`;
        const given = Object.fromEntries(
          Object.entries(values).filter(([n]) => (n === 'c' || n === 'n1') && !new RegExp(`\\\\set ${n} `).test(body)),
        );
        await expectSame({ 'main.sql': text }, given);
      }),
      runs(60),
    );
  }, 180_000);
});

describe('what is not understood is refused by name, file and line', () => {
  test.each([
    ['\\gset', 'SELECT 1 AS a \\gset\nSELECT :a;', 1],
    ['\\g', '\nSELECT 1 \\g', 2],
    ['\\gx', 'SELECT 1 \\gx', 1],
    ['\\pset', '\\pset border 2\nSELECT 1;', 1],
    ['\\timing', '\n\n\\timing on\nSELECT 1;', 3],
    ['\\copy', `\\copy (SELECT 1) TO 'x.csv'`, 1],
    ['\\watch', 'SELECT 1 \\watch 5', 1],
    ['\\i', '\\i other.sql', 1],
    ['\\o', '\\o x', 1],
    ['\\!', '\\! ls', 1],
    ['\\d', '\\d', 1],
    ['\\q', '\\q', 1],
    ['\\connect', '\\connect other', 1],
    ['\\x', '\\x on', 1],
    ['\\crosstabview', 'SELECT 1, 2, 3 \\crosstabview', 1],
  ])('%s', async (name, text, line) => {
    const file = await write({ 'main.sql': text });
    const error: Error = await readReport(file).then(
      () => new Error('not refused'),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'bad-input' });
    expect(error.message).toContain(`${file}:${line}: ${name} is not understood in a report`);
    const [, shown = '', caret = ''] = error.message.split('\n');
    expect(shown.slice(caret.indexOf('^')).startsWith(name)).toBe(true);
  });

  test.each([
    ['\\if true\nSELECT 1;', 1, '\\if without \\endif'],
    ['SELECT 1;\n\\endif', 2, '\\endif without \\if'],
    ['\\else', 1, '\\else without \\if'],
    ['\\if true\n\\else\n\\else\n\\endif', 3, '\\else after \\else'],
    ['\\if maybe\n\\endif', 1, "\\if needs true or false, not 'maybe'"],
    ["\\set a 'b", 1, 'has no end on this line'],
    ['\\set a `date`', 1, 'backticks'],
    ['\\set a-b 1', 1, "'a-b' is not the name of a variable"],
    ['\\ir', 1, '\\ir needs the path of a file'],
    ['\\ir nowhere.sql', 1, 'no such file'],
  ])('%j', async (text, line, message) => {
    const file = await write({ 'main.sql': text });
    await expect(readReport(file)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(new RegExp(`^${file}:${line}: `)),
    });
    await expect(readReport(file)).rejects.toThrow(message);
  });

  test.each(['BEGIN', 'COMMIT', 'ROLLBACK', 'START TRANSACTION', 'END', 'SAVEPOINT x', 'COPY (SELECT 1) TO STDOUT'])(
    '%s',
    async (statement) => {
      await expect(ours(await write({ 'main.sql': `SELECT 1;\n${statement};\nSELECT 2;` }))).rejects.toMatchObject({
        code: 'bad-input',
        message: expect.stringMatching(/main\.sql:2: .* is not possible in a report/),
      });
    },
  );

  test('a report cannot make itself a writer', async () => {
    for (const text of [
      'SET transaction_read_only = off; SELECT 1;',
      'SET TRANSACTION READ WRITE; SELECT 1;',
      'CREATE TABLE x (); SELECT 1;',
    ])
      await expect(ours(await write({ 'main.sql': text }))).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('errors of Postgres have the line, its text and a caret', () => {
  test.each([
    ['SELECT 1,\n  nothing\nFROM generate_series(1, 2) n;', 2, 'nothing', '  nothing'],
    [`\\set z 'a''b'\nSELECT :'z',\n 'ünï💩', oops(:'z');`, 3, 'oops', `oops(:'z')`],
    [`\\set col nope\nSELECT n, :col\nFROM generate_series(1, 2) n;`, 2, 'nope', ':col'],
    ['SET TimeZone = UTC;\n-- x\nSELECT 1 FROM nowhere;', 3, 'nowhere', 'nowhere'],
    ['SELEC 1;', 1, 'syntax error', 'SELEC'],
    ['SELECT :unset;', 1, 'syntax error', ':unset'],
    [`SELECT 1;\n\n/* a */ SELECT 1/0;`, 3, 'division by zero', 'SELECT 1/0'],
    [`SELECT 1;\nSELECT 'x'::int;`, 2, 'invalid input syntax', `'x'`],
  ])('%j', async (text, line, message, at) => {
    const file = await write({ 'main.sql': text });
    const error: Error = await ours(file).then(
      () => new Error('no error'),
      (thrown: Error) => thrown,
    );
    const [first = '', shown = '', caret = ''] = error.message.split('\n');
    expect(first).toMatch(new RegExp(`^${file}:${line}: `));
    expect(first).toContain(message);
    expect(shown.slice(caret.indexOf('^')).startsWith(at.trimStart())).toBe(true);
  });

  test('in an included file the place is there', async () => {
    const file = await write({ 'main.sql': '\\ir b/in.sql\n', 'b/in.sql': '-- x\nSELECT wrong;' });
    await expect(ours(file)).rejects.toThrow(/b\/in\.sql:2: column "wrong" does not exist\n {2}SELECT wrong;\n {9}\^/);
  });

  test('a variable without a value is named', async () => {
    await expect(ours(await write({ 'main.sql': "SELECT :'who';" }))).rejects.toThrow("'who' has no value: give --who");
    expect((await ours(await write({ 'main.sql': "SELECT :'who';" }), { who: 'me' })).rows).toEqual([['me']]);
  });

  test('a right that is missing is named with its object', async () => {
    const pool = createPool(url, { max: 1, name: 'test' });
    try {
      await pool.query(
        `DROP SCHEMA IF EXISTS closed CASCADE; CREATE SCHEMA closed; CREATE TABLE closed.x (); CREATE SCHEMA half; CREATE TABLE half.y ()`,
      );
      await pool.query(`DO $$ BEGIN CREATE ROLE nobody_at_all LOGIN PASSWORD 'nobody'; EXCEPTION WHEN duplicate_object THEN END $$`);
      await pool.query('GRANT USAGE ON SCHEMA half TO nobody_at_all');
    } finally {
      await pool.query('SELECT 1').catch(() => undefined);
    }
    const other = new URL(url);
    other.username = 'nobody_at_all';
    other.password = 'nobody';
    const poor = createPool(other.toString(), { max: 1, name: 'test' });
    try {
      const run = async (text: string) => runReport(poor, await readReport(await write({ 'main.sql': text })), {}, options);
      await expect(run('SELECT 1;\nSELECT * FROM closed.x;')).rejects.toThrow(/main\.sql:2: .*lacks the right USAGE on schema closed/);
      await expect(run('SELECT * FROM half.y;')).rejects.toThrow(/lacks the right SELECT on table y/);
      await expect(run("SELECT pg_read_file('x');")).rejects.toThrow(/lacks the right EXECUTE on function pg_read_file/);
    } finally {
      await poor.end();
      await pool.query('DROP SCHEMA closed CASCADE; DROP SCHEMA half CASCADE');
      await pool.end();
    }
  });
});

test('the reader keeps which variables a file uses and sets', () => {
  const text = `\\if :{?a} \\else \\set b 1 \\endif\nSELECT :'c', $$:d$$, ':e' -- :f\n;`;
  const { used, assigned } = readScript({ path: 'x.sql', label: 'x.sql', text }, {});
  expect([[...used].sort(), [...assigned]]).toEqual([['a', 'c'], ['b']]);
});
