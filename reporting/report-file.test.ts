import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { COUNT_ALL } from '../test/support/deltas.ts';
import { runPsql, PSQL } from '../test/support/psql.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { fillIn, listReports, type Report, readReport } from './report-file.ts';
import { type Result, runReport } from './run-report.ts';

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(2);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('one'), ('two')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'http://x/'), (2, 'pixel', '')`,
  );
  for (const [shard, people] of [
    ['a', 3],
    ['b', 5],
  ] as const) {
    await databases.query(
      shard,
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict)
       SELECT now() - person * interval '1 hour', person, gen_random_uuid(), gen_random_uuid(), person + ${people} * 100, 1 + hit % 2, 1 + hit % 2, 7, 1, 1,
              CASE WHEN hit % 2 = 0 THEN 'click' ELSE 'open' END::shard.kind, CASE WHEN hit = 2 THEN 'bot-ua' ELSE 'human' END::shard.verdict
       FROM generate_series(1, ${people}) person, generate_series(0, 2) hit`,
    );
    await databases.query(shard, COUNT_ALL);
  }
});

async function asAnalyst(report: Report, values: Record<string, string> = {}, zone = 'UTC'): Promise<Result> {
  const pool = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
  try {
    return await runReport(pool, report, values, { timeoutSeconds: 60, zone });
  } finally {
    await pool.end();
  }
}

const toObjects = ({ columns, rows }: Result): Record<string, string | null>[] =>
  rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i] ?? null])));
const toTexts = ({ rows }: Result): string[][] => rows.map((row) => row.map((value) => value ?? ''));

describe('every report', async () => {
  const reports = await listReports();

  test('there is one, and each says what it answers and what its parameters are', () => {
    expect(reports.length).toBeGreaterThan(0);
    for (const report of reports) {
      const { name, title, question, parameters } = report;
      expect(title, name).not.toBe('');
      expect(question, name).toMatch(/\?$/);
      for (const parameter of parameters) expect(parameter.help, `${name} ${parameter.name}`).not.toBe('');
      // The parameters of a report are exactly the variables that it uses and does not set itself.
      const { used, assigned } = fillIn(report, Object.fromEntries(parameters.map((parameter) => [parameter.name, '1'])));
      expect(new Set([...used].filter((variable) => !assigned.has(variable))), name).toEqual(
        new Set(parameters.map((parameter) => parameter.name)),
      );
    }
  });

  describe.each(reports.map((report) => [report.name, report] as const))('%s', (name, report) => {
    const takesCampaign = report.parameters.some((parameter) => parameter.name === 'campaign');
    const file = fileURLToPath(new URL(`../reports/${name}.sql`, import.meta.url));

    test('runs as the analyst with its defaults', async () => {
      expect((await asAnalyst(report)).columns.length).toBeGreaterThan(0);
    });

    test.skipIf(PSQL === undefined)('gives the same through psql, with and without a campaign', async () => {
      for (const values of takesCampaign ? [{}, { campaign: '1' }, { campaign: '2' }] : [{}]) {
        expect(await runPsql(databases.roleUrls.analyst, file, values)).toEqual(toTexts(await asAnalyst(report, values)));
      }
    });

    if (!takesCampaign) return;

    test('a campaign is given by its number or its name, and one that is not there is an error with similar names', async () => {
      expect(await asAnalyst(report, { campaign: 'two' })).toMatchObject({ rows: (await asAnalyst(report, { campaign: '2' })).rows });
      for (const value of [
        'x',
        '999',
        '1.5',
        '99999999999999999999',
        "1'; DROP VIEW analytics.campaigns; --",
        "' OR ''='",
        '1 OR 1=1',
        '2,1',
      ])
        await expect(asAnalyst(report, { campaign: value })).rejects.toMatchObject({
          code: 'not-found',
          message: expect.stringContaining(`campaign '${value}' does not exist`),
        });
      await expect(asAnalyst(report, { campaign: 'tow' })).rejects.toThrow("Similar: 'two'");
    });
  });

  test('campaign-summary counts people and machines over all shards', async () => {
    const rows = toObjects(await asAnalyst(await readReport('campaign-summary'), { campaign: '1' }));
    // No mail was prepared, so there are no percentages of prepared mails.
    const unprepared = { prepared_for: '0', percent: null, human_percent: null };
    expect(rows).toEqual([
      {
        campaign_id: '1',
        campaign: 'one',
        kind: 'click',
        hits: '16',
        human_hits: '8',
        machine_hits: '8',
        unsure_hits: '0',
        recipients: '8',
        human_recipients: '8',
        machine_only_recipients: '0',
        unsure_recipients: '0',
        ...unprepared,
        click_to_open_percent: '100',
        human_click_to_open_percent: '100',
      },
      {
        campaign_id: '1',
        campaign: 'one',
        kind: 'open',
        hits: '0',
        human_hits: '0',
        machine_hits: '0',
        unsure_hits: '0',
        // A recipient who clicked also counts as a recipient who opened.
        recipients: '8',
        human_recipients: '8',
        machine_only_recipients: '0',
        unsure_recipients: '0',
        ...unprepared,
        click_to_open_percent: null,
        human_click_to_open_percent: null,
      },
    ]);
  });
});

describe('a report file', () => {
  async function write(text: string): Promise<string> {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'mine.sql'), text);
    return directory;
  }

  const TEXT = `-- title: Mine
-- question: What is it?
-- parameter: who  whose it is
-- parameter: days  how many

\\if :{?who}
\\else
  \\set who 'nobody at all'
\\endif
\\if :{?days}
\\else
  \\set days 30
\\endif

-- a remark with :'who' in it
SELECT :'who' AS who, :'days'::int AS days, :'who' AS again;
`;

  test('its defaults are those that psql would take, quoted or not', async () => {
    const directory = await write(TEXT);
    const report = await readReport('mine', directory);
    expect(report).toMatchObject({
      name: 'mine',
      title: 'Mine',
      question: 'What is it?',
      parameters: [
        { name: 'who', type: 'text', help: 'whose it is', default: 'nobody at all' },
        { name: 'days', type: 'text', help: 'how many', default: '30' },
      ],
    });
    expect(toObjects(await asAnalyst(report))).toEqual([{ who: 'nobody at all', days: '30', again: 'nobody at all' }]);
    if (PSQL !== undefined)
      expect(await runPsql(databases.roleUrls.analyst, join(directory, 'mine.sql'), {})).toEqual([
        ['nobody at all', '30', 'nobody at all'],
      ]);
  });

  test.each([`'; SELECT 1; --`, `\\'; SELECT 1; --`, '\\', `:'days'`, '$1', '$&', `$$`, `a\nb`, '%', '"', `''`, 'é💩', ''])(
    'a value %j arrives as that text and as nothing else',
    async (value) => {
      const directory = await write(TEXT);
      const rows = toObjects(await asAnalyst(await readReport('mine', directory), { who: value, days: '1' }));
      // An empty value is also a value, so the default is not used.
      expect(rows).toEqual([{ who: value, days: '1', again: value }]);
    },
  );

  test('defaults on one line, constants, identifiers and included files are those that psql would take', async () => {
    const directory = await write(
      "-- title: Mine\n\\set kind 'click'\n\\set column 'Wha\"t'\n\\if :{?kind} \\else \\set kind 'never' \\endif\n\\ir shared/query.sql\n",
    );
    await mkdir(join(directory, 'shared'));
    await writeFile(
      join(directory, 'shared', 'query.sql'),
      `-- parameter: who  whose it is\n\\if :{?who} \\else \\set who 'somebody' \\endif\nSELECT :'kind' AS :"column", :'who' AS who;\n`,
    );
    const report = await readReport('mine', directory);
    expect(report.parameters).toEqual([{ name: 'who', type: 'text', help: 'whose it is', default: 'somebody' }]);
    expect(toObjects(await asAnalyst(report))).toEqual([{ 'Wha"t': 'click', who: 'somebody' }]);
    expect(toObjects(await asAnalyst(report, { who: 'me' }))).toEqual([{ 'Wha"t': 'click', who: 'me' }]);
    expect(() => fillIn(report, { kind: 'open' })).toThrow(expect.objectContaining({ code: 'bad-input' }));
    if (PSQL === undefined) return;
    const file = join(directory, 'mine.sql');
    expect(await runPsql(databases.roleUrls.analyst, file, {})).toEqual([['click', 'somebody']]);
    expect(await runPsql(databases.roleUrls.analyst, file, { who: 'me' })).toEqual([['click', 'me']]);
  });

  test('an included file that is not there is named', async () => {
    const directory = await write('\\ir nowhere.sql\nSELECT 1;\n');
    await expect(readReport('mine', directory)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('nowhere.sql'),
    });
    const circle = await write('\\ir mine.sql\nSELECT 1;\n');
    await expect(readReport('mine', circle)).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('mine.sql') });
  });

  test('a parameter has the type that it declares, or that of its name', async () => {
    const directory = await write(
      `-- parameter: limit  how many\n-- parameter: sort:up|down  the order\n-- parameter: n:number  a number\n-- parameter: url:text  any text\n-- parameter: timezone  whose clock\n-- parameter: from  when\n-- parameter: to  when\nSELECT :'limit', :'sort', :'n', :'url', :'timezone', :'from', :'to', current_setting('TimeZone');\n`,
    );
    const report = await readReport('mine', directory);
    const values = { limit: '5', sort: 'up', n: '7', url: 'x', timezone: 'asia/kathmandu', from: '2026-11-01', to: '2026-11-01T18:15Z' };
    const result = await asAnalyst(report, values);
    expect(result.rows).toEqual([
      ['5', 'up', '7', 'x', 'Asia/Kathmandu', '2026-10-31T18:15:00.000Z', '2026-11-01T18:15:00Z', 'Asia/Kathmandu'],
    ]);
    expect(result.asked).toBe('By the clock of Asia/Kathmandu: from 2026-11-01 00:00 +05:45 until before 2026-11-02 00:00 +05:45.');
    for (const [name, value, message] of [
      ['limit', 'abc', "limit cannot be 'abc': write a whole number"],
      ['limit', '-1', 'whole number'],
      ['limit', '1e3', 'whole number'],
      ['sort', 'sideways', "sort cannot be 'sideways': write up or down"],
      ['n', '', undefined],
      ['timezone', 'PST', 'America/Los_Angeles'],
      ['timezone', 'Mars/Base', 'not the name of a time zone'],
      ['from', '01.11.2026', 'Write the year first'],
      ['to', '2026-10-30', 'has no length'],
    ] as const) {
      const run = asAnalyst(report, { ...values, [name]: value });
      if (message === undefined) await expect(run).resolves.toBeDefined();
      else await expect(run).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(message) });
    }
    const unknown = await write('-- title: x\n-- parameter: a:sometype  help\nSELECT 1;');
    await expect(readReport('mine', unknown)).rejects.toThrow(/mine\.sql:2: 'sometype' is not a type of parameter/);
  });

  test('an unknown parameter is refused, and those that there are are named', async () => {
    const report = await readReport('mine', await write(TEXT));
    expect(() => fillIn(report, { whom: 'x' })).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('who, days') }),
    );
  });

  test.each(['nope', '../reports/campaign-summary', 'CAMPAIGN', '', '/etc/passwd', 'a.b'])('%j is no report', async (name) => {
    await expect(readReport(name)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('files of other kinds are no reports', async () => {
    const directory = await write(TEXT);
    await writeFile(join(directory, 'README.md'), '');
    expect((await listReports(directory)).map(({ name }) => name)).toEqual(['mine']);
  });
});
