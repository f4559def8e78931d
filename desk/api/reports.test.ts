import { parse } from 'csv-parse/sync';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { listReports } from '../../reporting/report-file.ts';
import { expectProblem, startTestApi, type TestApi } from '../../test/support/api.ts';
import { addCampaign, addHits, addLog } from '../../test/support/campaigns.ts';
import { clickledger, createDataDirectory } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Reports by the API.

let databases: Databases;
let api: TestApi;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(2);
  const added = await addCampaign(databases, 'Spring sale', 2000);
  campaign = added.campaign;
  await addHits(databases, { campaign, link: added.links[0] as number, kind: 'click', people: 10 });
  await addLog(databases);
  api = await startTestApi(databases);
});
afterAll(() => api?.app.close());
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

test('the list has every report with its parameters', async () => {
  const { json } = await api.call('GET', '/reports');
  expect(json.reports.map(({ name }: { name: string }) => name)).toEqual((await listReports()).map(({ name }) => name));
});

test('every report runs with its defaults', async () => {
  for (const { name } of await listReports())
    expect({ name, status: (await api.call('GET', `/reports/${name}`)).status }).toEqual({ name, status: 200 });
});

test('a report has the same rows as the command, as JSON and as CSV', async () => {
  const data = await createDataDirectory(databases);
  const command = async (...args: string[]) =>
    (await clickledger(['report', 'non-openers', '--campaign', 'Spring sale', ...args, '--data', data])).stdout;
  const query = `campaign=${encodeURIComponent('Spring sale')}&limit=`;
  const { json } = await api.call('GET', `/reports/non-openers?${query}`);
  expect(json).toHaveLength(1990);
  expect(json).toEqual(JSON.parse(await command('--json')));
  const csv = await api.call('GET', `/reports/non-openers.csv?${query}`);
  expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(csv.body).toBe(await command('--format', 'csv'));
  const accepted = await api.call('GET', `/reports/non-openers?${query}`, undefined, {
    headers: { accept: 'text/csv, application/json;q=0.5' },
  });
  expect(accepted.body).toBe(csv.body);
  expect(parse(csv.body, { columns: true })).toHaveLength(1990);
  expect((await api.call('GET', `/reports/non-openers.json?${query}`, undefined, { headers: { accept: 'text/csv' } })).json).toEqual(json);
});

test('the reach says up to which time hits are counted', async () => {
  expect((await api.call('GET', '/reach')).json).toEqual({ last_at: '2030-05-01T12:34:56.000Z', holes: 0, missing_bytes: 0 });
});

test('what a report refuses is a problem', async () => {
  expectProblem(await api.call('GET', '/reports/nothing'), 404, 'not-found');
  expectProblem(await api.call('GET', `/reports/${encodeURIComponent('../package.json')}`), 404, 'not-found');
  expectProblem(await api.call('GET', `/reports/${encodeURIComponent('/etc/passwd.sql')}`), 404, 'not-found');
  expectProblem(await api.call('GET', '/reports/campaign-summary?campain=1'), 400, 'bad-input');
  expectProblem(await api.call('GET', '/reports/campaign-summary?campaign=nobody'), 404, 'not-found');
  expectProblem(await api.call('GET', '/reports/campaign-summary?campaign=1&campaign=2'), 400, 'bad-input');
  expectProblem(await api.call('GET', '/reports/clicks-by-hour?timezone=Nowhere'), 400, 'bad-input');
});

test('a shard that does not answer is a problem, never fewer rows', async () => {
  await databases.query('catalog', `ALTER SERVER shard_b OPTIONS (SET port '1')`);
  const port = new URL(databases.shards.named('b').url).port;
  try {
    const refused = await api.call('GET', '/reports/campaign-summary');
    expect(refused.status).toBeGreaterThanOrEqual(500);
    expect(refused.json.code).toBe('unavailable');
  } finally {
    await databases.query('catalog', `ALTER SERVER shard_b OPTIONS (SET port '${port}')`);
  }
});
