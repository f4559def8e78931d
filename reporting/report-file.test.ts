import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { createDatabases, type Databases, MARK_ALL } from '../test/support/databases.ts';
import { runPsql, PSQL } from '../test/support/psql.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { fillIn, listReports, readReport } from './report-file.ts';

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
    await databases.query(shard, MARK_ALL);
  }
});

async function asAnalyst(sql: string): Promise<pg.QueryResult<Record<string, string | null>>> {
  const pool = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
  try {
    return await pool.query<Record<string, string | null>>({ text: sql, types: { getTypeParser: () => String } });
  } finally {
    await pool.end();
  }
}

describe('every report', async () => {
  const reports = await listReports();

  test('there is one, and each says what it answers and what its parameters are', () => {
    expect(reports.length).toBeGreaterThan(0);
    for (const { name, title, question, parameters, sql } of reports) {
      expect(title, name).not.toBe('');
      expect(question, name).toMatch(/\?$/);
      for (const parameter of parameters) expect(parameter.help, `${name} ${parameter.name}`).not.toBe('');
      const used = new Set(Array.from(sql.matchAll(/:'(\w+)'/g), (match) => match[1]));
      expect(used, name).toEqual(new Set(parameters.map((parameter) => parameter.name)));
    }
  });

  describe.each(reports.map((report) => [report.name, report] as const))('%s', (name, report) => {
    const takesCampaign = report.parameters.some((parameter) => parameter.name === 'campaign');
    const file = fileURLToPath(new URL(`../reports/${name}.sql`, import.meta.url));

    test('runs as the analyst with its defaults', async () => {
      expect((await asAnalyst(fillIn(report, {}))).fields.length).toBeGreaterThan(0);
    });

    test.skipIf(PSQL === undefined)('gives the same through psql, with and without a campaign', async () => {
      for (const values of takesCampaign ? [{}, { campaign: '1' }, { campaign: '2' }] : [{}]) {
        const ours = await asAnalyst(fillIn(report, values));
        const rows = ours.rows.map((row) => ours.fields.map(({ name: field }) => row[field] ?? ''));
        expect(await runPsql(databases.roleUrls.analyst, file, values)).toEqual(rows);
      }
    });

    if (!takesCampaign) return;

    test('a campaign that is no number is an error, not a statement', async () => {
      for (const value of ['x', "1'; DROP VIEW analytics.campaigns; --", "' OR ''='", '1 OR 1=1'])
        await expect(asAnalyst(fillIn(report, { campaign: value }))).rejects.toMatchObject({ code: '22P02' });
    });
  });

  test('campaign-summary counts people and machines over all shards', async () => {
    const { rows } = await asAnalyst(fillIn(await readReport('campaign-summary'), { campaign: '1' }));
    // No mail was prepared, so there are no percentages of it.
    const unprepared = { prepared_for: '0', percent: null, human_percent: null };
    expect(rows).toEqual([
      {
        campaign_id: '1',
        campaign: 'one',
        kind: 'click',
        hits: '16',
        human_hits: '8',
        machine_hits: '8',
        recipients: '8',
        human_recipients: '8',
        machine_only_recipients: '0',
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
        // Who clicked has opened.
        recipients: '8',
        human_recipients: '8',
        machine_only_recipients: '0',
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
        { name: 'who', help: 'whose it is', default: 'nobody at all' },
        { name: 'days', help: 'how many', default: '30' },
      ],
    });
    expect((await asAnalyst(fillIn(report, {}))).rows).toEqual([{ who: 'nobody at all', days: '30', again: 'nobody at all' }]);
    if (PSQL !== undefined)
      expect(await runPsql(databases.roleUrls.analyst, join(directory, 'mine.sql'), {})).toEqual([
        ['nobody at all', '30', 'nobody at all'],
      ]);
  });

  test.each([`'; SELECT 1; --`, `\\'; SELECT 1; --`, '\\', `:'days'`, '$1', '$&', `$$`, `a\nb`, '%', '"', `''`, 'é💩', ''])(
    'a value %j arrives as that text and as nothing else',
    async (value) => {
      const directory = await write(TEXT);
      const { rows } = await asAnalyst(fillIn(await readReport('mine', directory), { who: value, days: '1' }));
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
    expect(report.parameters).toEqual([{ name: 'who', help: 'whose it is', default: 'somebody' }]);
    expect((await asAnalyst(fillIn(report, {}))).rows).toEqual([{ 'Wha"t': 'click', who: 'somebody' }]);
    expect((await asAnalyst(fillIn(report, { who: 'me' }))).rows).toEqual([{ 'Wha"t': 'click', who: 'me' }]);
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
