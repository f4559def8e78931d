import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLinks } from '../../authoring/links.ts';
import { createPool } from '../../core/postgres.ts';
import { listReports } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { authorSettings, createDesk, insertCampaign, readCsv } from '../support/authors.ts';
import { clickledger } from '../support/commands.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { startMailServer } from '../support/mail-server.ts';
import { appendDeltas } from '../support/deltas.ts';

// Every report with a column `email` is a list of people to whom `prepare` writes again.

/** People, by what is special about them. They all got the first letter. */
const PEOPLE = ['clicker', 'opener', 'silent', 'forgotten', 'out', 'unsubscribed', 'back', 'tester', 'nameless', 'unsure'] as const;
type Name = (typeof PEOPLE)[number];
const HAVE_CLICKED: readonly Name[] = PEOPLE.filter((name) => name !== 'opener' && name !== 'silent');
/** People to whom a letter with tracked links may be written by mail. `nameless` has only an id. */
const REACHABLE: readonly Name[] = ['clicker', 'opener', 'silent', 'back', 'unsure'];

const LETTER = '<html><body><p>Hello <a href="https://shop.example/">again</a></p></body></html>';
const emailOf = (name: Name): string => `${name}@example.com`;

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(2);
  const author = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
  try {
    const { id: campaign } = await ensureCampaign(author, 'first', {});
    const [link = 0, , pixel = 0] = await ensureLinks(author, campaign, [
      { kind: 'url', target: 'https://shop.example/', position: 1 },
      { kind: 'unsubscribe' },
      { kind: 'pixel' },
    ]);
    await insertPeople(campaign);
    const ids = await idsOf();
    for (const [i, { name: shard }] of databases.shards.list.entries()) {
      const here = PEOPLE.filter((name) => (ids[name] as number) % 2 === i);
      await databases.query(shard, 'SELECT shard.tell($1, $2, $3)', [
        here.map((name) => ids[name]),
        here.map((name) => name === 'tester'),
        here.map((name) => name === 'forgotten'),
      ]);
      // Everybody has two clicks of two visitors, or one open, or nothing.
      const hits = here.flatMap((name) => {
        if (HAVE_CLICKED.includes(name)) return [1, 2].map((visitor) => ({ name, kind: 'click', link, visitor }));
        return name === 'opener' ? [{ name, kind: 'open', link: pixel, visitor: 1 }] : [];
      });
      await databases.query(
        shard,
        `WITH hit AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::shard.kind[], $4::bigint[], $6::shard.verdict[]) WITH ORDINALITY AS t (recipient, link, kind, visitor, verdict, off)),
              kept AS (INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, visitor)
                       SELECT now() - interval '3 days', off, gen_random_uuid(), gen_random_uuid(), recipient, link, $5, 0, 2, kind, verdict, visitor FROM hit RETURNING *)
         ${appendDeltas('kept')}`,
        [
          hits.map(({ name }) => ids[name]),
          hits.map((hit) => hit.link),
          hits.map(({ kind }) => kind),
          hits.map(({ visitor }) => visitor),
          campaign,
          hits.map(({ name }) => (name === 'unsure' ? 'unsure' : 'human')),
        ],
      );
      await databases.query(
        shard,
        `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
         SELECT now() - interval '2 days', 1000, gen_random_uuid(), gen_random_uuid(), recipient, 2, $2 FROM unnest($1::bigint[]) AS recipient`,
        [here.filter((name) => name === 'unsubscribed' || name === 'back').map((name) => ids[name]), campaign],
      );
    }
  } finally {
    await author.end();
  }
});

async function insertPeople(campaign: number): Promise<void> {
  await databases.query(
    'catalog',
    `WITH person AS (
       INSERT INTO catalog.recipient (email, external_id, is_test)
       SELECT CASE name WHEN 'nameless' THEN NULL ELSE name || '@example.com' END, 'id/' || name, name = 'tester' FROM unnest($1::text[]) WITH ORDINALITY AS t (name, i) ORDER BY i
       RETURNING id)
     INSERT INTO catalog.mailing (campaign_id, recipient_id, prepared_at) SELECT $2, id, now() - interval '4 days' FROM person`,
    [PEOPLE, campaign],
  );
}

async function idsOf(): Promise<Record<string, number>> {
  const rows = await databases.query<{ name: string; id: number }>(
    'catalog',
    `SELECT substr(external_id, 4) AS name, id::int FROM catalog.recipient`,
  );
  const ids = Object.fromEntries(rows.map(({ name, id }) => [name, id]));
  await databases.query(
    'catalog',
    `UPDATE catalog.recipient SET
       opted_out_at = CASE WHEN external_id = 'id/out' THEN now() - interval '1 day' END,
       resubscribed_at = CASE WHEN external_id = 'id/back' THEN now() - interval '1 day' END,
       forgotten_at = CASE WHEN external_id = 'id/forgotten' THEN now() END,
       email = CASE WHEN external_id = 'id/forgotten' THEN NULL ELSE email END,
       external_id = CASE WHEN external_id = 'id/forgotten' THEN NULL ELSE external_id END`,
  );
  return ids;
}

/** The parameters of each report. `prepare` creates further campaigns, and they must not change the lists. */
const VALUES: Readonly<Record<string, Record<string, string>>> = {
  'inactive-since': { since: '2100-01-01' },
  'non-openers': { campaign: 'first' },
  segment: { mailable: 'only' },
};

/** The reports that list people, with the people to whom `prepare` must write. An empty list is a list, too. */
const EXPECTED: Readonly<Record<string, readonly Name[]>> = {
  'clicked-not': ['clicker', 'back'],
  forwards: ['clicker', 'back', 'out'],
  'inactive-since': [],
  'most-engaged': ['clicker', 'opener', 'back', 'out'],
  'newly-engaged': ['clicker', 'opener', 'back'],
  'non-openers': ['silent', 'unsure'],
  segment: ['clicker', 'back'],
};

test('these reports list people', async () => {
  const analyst = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
  try {
    const names: string[] = [];
    for (const report of await listReports()) {
      const { columns } = await runReport(analyst, report, {}, { timeoutSeconds: 30, zone: 'UTC' });
      const found = columns.map(({ name }) => name);
      if (!found.includes('email')) continue;
      names.push(report.name);
      // An author's own id is beside each address, for lists without addresses.
      expect(found[found.indexOf('email') + 1]).toBe('external_id');
    }
    expect(names).toEqual(Object.keys(EXPECTED));
  } finally {
    await analyst.end();
  }
});

test('send takes such a list, too', async () => {
  const server = await startMailServer();
  const desk = await createDesk({ 'letter.html': LETTER });
  const env = { ...authorSettings(databases), ANALYST_URL: databases.roleUrls.analyst, SMTP_URL: `smtp://127.0.0.1:${server.port}` };
  const run = (...args: string[]) => clickledger(args, { cwd: desk, env });
  expect(await run('report', 'non-openers', '--campaign', 'first', '--out', 'again.csv')).toMatchObject({ code: 0 });
  await insertCampaign(databases, 'sent again');
  const letter = ['letter.html', '--campaign', 'sent again', '--to', 'again.csv', '--from', 'news@shop.example', '--subject', 'Again'];
  expect(await run('send', ...letter)).toMatchObject({ code: 0 });
  expect(server.counts()).toEqual({ 'silent@example.com': 1, 'unsure@example.com': 1 });
});

describe.each(Object.keys(EXPECTED))('%s', (name) => {
  const settings = () => ({ ...authorSettings(databases), ANALYST_URL: databases.roleUrls.analyst });

  async function listPeople(
    desk: string,
    values: Record<string, string>,
    more: Record<string, string> = {},
  ): Promise<Record<string, string>[]> {
    const flags = Object.entries(values).flatMap(([parameter, value]) => [`--${parameter}`, value]);
    expect(
      await clickledger(['report', name, ...flags, '--out', 'again.csv'], { cwd: desk, env: { ...settings(), ...more } }),
    ).toMatchObject({
      code: 0,
      stdout: '',
    });
    return readCsv(await readFile(join(desk, 'again.csv')));
  }

  test.each([
    ['with the defaults', VALUES[name] ?? {}, EXPECTED[name] ?? []],
    ...(name === 'inactive-since' ? [['of four days', { since: '5 days ago' }, ['silent', 'unsure']] as const] : []),
  ] as const)('is a list for prepare, %s', async (_, values, expected) => {
    const desk = await createDesk({ 'letter.html': LETTER });
    const rows = await listPeople(desk, values);
    // A segment itself has only people to whom mail may be written, by address or by id.
    if (['clicked-not', 'inactive-since', 'newly-engaged', 'segment'].includes(name))
      expect(rows.map(({ external_id }) => external_id?.slice(3)).filter((id) => id !== 'nameless')).toEqual(
        REACHABLE.filter((person) => (expected as readonly Name[]).includes(person)),
      );
    await insertCampaign(databases, `again ${name} ${rows.length}`);
    const { code, stderr } = await clickledger(
      ['prepare', 'letter.html', '--campaign', `again ${name} ${rows.length}`, '--to', 'again.csv', '--render', '--out', 'out', '--json'],
      { cwd: desk, env: settings() },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('--email-column') });
    const index = readCsv(await readFile(join(desk, 'out', 'index.csv')));
    expect(new Set(index.map(({ email }) => email))).toEqual(new Set(expected.map(emailOf)));
    expect(index).toHaveLength(expected.length);
  });

  test('counts people with an unsure hit, if the operator wants this', async () => {
    if (!['clicked-not', 'inactive-since', 'newly-engaged'].includes(name)) return;
    const desk = await createDesk({});
    const values = name === 'inactive-since' ? { since: '5 days ago' } : {};
    const isListed = async (countUnsure: string) =>
      (await listPeople(desk, values, { COUNT_UNSURE: countUnsure })).some(({ email }) => email === emailOf('unsure'));
    expect([await isListed('no'), await isListed('yes')]).toEqual(name === 'inactive-since' ? [true, false] : [false, true]);
  });

  test('is a list of ids for prepare --no-emails', async () => {
    if (name === 'inactive-since' || name === 'non-openers') return;
    const desk = await createDesk({ 'letter.html': LETTER });
    await listPeople(desk, VALUES[name] ?? {});
    await insertCampaign(databases, `ids of ${name}`);
    const args = ['prepare', 'letter.html', '--campaign', `ids of ${name}`, '--to', 'again.csv', '--no-emails', '--render', '--out', 'out'];
    expect(await clickledger(args, { cwd: desk, env: settings() })).toMatchObject({ code: 0 });
    const index = readCsv(await readFile(join(desk, 'out', 'index.csv')));
    expect(index.map(({ external_id, id }) => external_id ?? id)).toContain('id/nameless');
  });
});
