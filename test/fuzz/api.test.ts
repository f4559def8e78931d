import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES } from '../../desk/api/routes.ts';
import { ndjson, startTestApi, type TestApi } from '../support/api.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { runs } from '../support/runs.ts';

// Random requests to the API. No body, path or header may cause a status 500, and an answer always has a documented shape.

let databases: Databases;
let api: TestApi;

beforeAll(async () => {
  databases = await createDatabases(1);
  api = await startTestApi(databases);
  const { json } = await api.call('POST', '/campaigns', { name: 'first' });
  await api.call('POST', `/campaigns/${json.id}/links`, { target: 'https://shop.example/' });
  await api.call('POST', '/recipients', { email: 'ann@example.com', external_id: '1' });
});
afterAll(() => api?.app.close());

const url = fc.constantFrom(
  'https://shop.example/',
  'https://a.example/?x=\u0000',
  'http://',
  'https://[::1]/',
  'javascript:1',
  'https://ü.example/ ',
  '//x',
);
const time = fc.constantFrom(
  '2030-01-01T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999+23:59',
  '2030-13-01T00:00:00Z',
  'now',
  '',
);
const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('ann@example.com', '1', '\ud800', '\u0000', "'; --", 'x'.repeat(2000), ' ', 'a-b'),
);
const odd = fc.oneof(fc.constantFrom(null, true, -1, 1e308, Number.MAX_SAFE_INTEGER, [], {}), fc.jsonValue({ maxDepth: 2 }));
const html = fc.oneof(
  word,
  fc.constantFrom('<a href="https://shop.example/">x</a>', '<a href="{{unsubscribe}}">x</a>{{name}}', '<'.repeat(2000), '{{{{', '<!--'),
);
const FLAGS = ['pass_query', 'closed', 'disabled', 'opted_out', 'test', 'fill', 'honeypot', 'track_unsubscribe', 'despite_missing'];
const valueOf: Record<string, fc.Arbitrary<unknown>> = {
  ...Object.fromEntries(FLAGS.map((name) => [name, fc.boolean()])),
  name: fc.oneof(fc.string({ minLength: 1 }), word),
  fallback: url,
  target: url,
  sent_at: time,
  expires_at: time,
  html,
  text: html,
  follow_hosts: fc.array(word, { maxLength: 3 }),
  base_url: fc.constantFrom(null, 'https://t.example.org', 'https://elsewhere.example'),
  exclude: fc.array(word, { maxLength: 3 }),
  utm: fc.dictionary(word, word, { maxKeys: 3 }),
  columns: fc.dictionary(word, word, { maxKeys: 3 }),
  merge: fc.constantFrom('ses', 'mailchimp', 'x'),
  pixel: fc.constantFrom('top', 'none', 'x'),
  kind: fc.constantFrom('url', 'pixel', 'unsubscribe', 'x'),
};
const ALL_NAMES = ['name', 'email', 'external_id', 'to', 'html', 'target', 'kind', 'nothing'];

/** Returns the names of the fields that a schema of a route has. */
function fieldsOf(schema: unknown): string[] {
  const { shape, options } = (schema ?? {}) as { shape?: object; options?: unknown[] };
  return [...Object.keys(shape ?? {}), ...(options ?? []).flatMap(fieldsOf)];
}

/** Returns random bodies with some of the fields. Most values have the right type. */
function bodyWith(names: readonly string[]): fc.Arbitrary<unknown> {
  const field = (name: string): fc.Arbitrary<unknown> =>
    name === 'to'
      ? fc.record({ email: word, external_id: word }, { requiredKeys: [] })
      : fc.oneof({ weight: 12, arbitrary: valueOf[name] ?? word }, odd);
  const record = fc.record(Object.fromEntries(names.map((name) => [name, field(name)])), { requiredKeys: [] });
  return fc.oneof({ weight: 6, arbitrary: record as fc.Arbitrary<unknown> }, fc.jsonValue());
}
const anyBody = bodyWith(ALL_NAMES);
const anyId = fc.oneof({ weight: 4, arbitrary: fc.constant('1') }, fc.constantFrom('0', '-1', '999999999999999', '1e3', '%00', '2'));

const routeOf = (operationId: string) => ROUTES.find((route) => route.operationId === operationId) as (typeof ROUTES)[number];
/** Requests with known statuses, because random requests may miss one of them. */
const EXAMPLES: { route: (typeof ROUTES)[number]; id: string; sent: string | object }[] = [
  { route: routeOf('createCampaign'), id: '1', sent: '{"name":"known"}' },
  { route: routeOf('createCampaign'), id: '1', sent: '{"name":"known"}' },
  { route: routeOf('createCampaign'), id: '1', sent: '{}' },
  { route: routeOf('createCampaign'), id: '1', sent: [{ name: 'lines' }] },
  { route: routeOf('readCampaign'), id: '999999999999999', sent: '' },
  { route: routeOf('readEvents'), id: '1', sent: '' },
];

test('no request causes an unexpected error', async () => {
  const statuses = new Set<number>();
  const requests = fc.constantFrom(...ROUTES).chain((route) => {
    const one = bodyWith(fieldsOf(route.body).length > 0 ? fieldsOf(route.body) : ALL_NAMES);
    const lines = fc.array(bodyWith(fieldsOf(route.line)), { minLength: 1, maxLength: 4 });
    const bodies = [...(route.handle ? [one.map((value) => JSON.stringify(value))] : []), ...(route.handleLines ? [lines] : []), one];
    return fc.record({ route: fc.constant(route), id: anyId, sent: fc.oneof(...(bodies as fc.Arbitrary<string | object>[])) });
  });
  await fc.assert(
    fc.asyncProperty(requests, async ({ route, id, sent }) => {
      const path = route.path.replaceAll(/\{\w+\}/g, id);
      const isBare = route.method === 'GET' || route.method === 'DELETE';
      const text = typeof sent === 'string' || Array.isArray(sent) ? sent : JSON.stringify(sent);
      const { status } = await api.call(route.method, path, isBare ? undefined : text);
      statuses.add(status);
      expect(status === 500 || status > 503, `${status} for ${route.method} ${path} ${JSON.stringify(sent)}`).toBe(false);
      expect(api.onError).not.toHaveBeenCalled();
    }),
    { ...runs(800), examples: EXAMPLES.map((example) => [example]) },
  );
  expect([...statuses]).toEqual(expect.arrayContaining([200, 201, 400, 404, 415]));
});

test('no bytes cause an unexpected error', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1')),
    fc.string({ unit: 'binary' }),
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain', ''), async (text, type) => {
      const { statusCode } = await api.app.inject({
        method: 'POST',
        url: '/api/v1/recipients',
        headers: { authorization: `Bearer ${api.author}`, ...(type === '' ? {} : { 'content-type': type }) },
        payload: text,
      });
      expect([200, 400, 409, 415]).toContain(statusCode);
      expect(api.onError).not.toHaveBeenCalled();
    }),
    runs(200),
  );
});

test('no query of a report causes an unexpected error', async () => {
  const names = fc.constantFrom('campaign', 'campaigns', 'from', 'to', 'timezone', 'limit', 'url', 'recipient', 'kind', 'x');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('campaign-summary', 'clicks-by-hour', 'non-openers.csv', 'forwards', 'nothing', '..'),
      fc.dictionary(names, fc.oneof(word, fc.constantFrom('first', '1', '7 days ago', 'Europe/Berlin', '10')), { maxKeys: 3 }),
      async (name, values) => {
        const query = new URLSearchParams(values as Record<string, string>).toString();
        const { status } = await api.call('GET', `/reports/${name}?${query}`);
        expect([200, 400, 404], `${status} for ${name}?${query}`).toContain(status);
        expect(api.onError).not.toHaveBeenCalled();
      },
    ),
    runs(150),
  );
});

test('no query of events causes an unexpected error', async () => {
  const { key } = await api.newKey('analyst');
  const other = await api.newKey('analyst');
  const begin = async (used: string): Promise<string> =>
    ((await api.call('GET', '/events', undefined, { key: used })).lines.at(-1) as { after: string }).after;
  const [own, foreign] = [await begin(key), await begin(other.key)];
  const unknown = `${'a'.repeat(22)}.1.${'b'.repeat(8)}`;
  const later = own.replace(/\.0\./, '.7.');
  const names = fc.constantFrom('after', 'kind', 'campaign', 'verdict', 'from', 'settle', 'limit', 'wait', 'repeat', 'x');
  const value = fc.oneof(
    word,
    time,
    fc.constantFrom(
      'everything',
      '0',
      '1',
      '1,2',
      'click',
      'click,goal',
      'human',
      'any',
      'true',
      '99999999999',
      '-1',
      '1e3',
      own,
      foreign,
      unknown,
      later,
    ),
  );
  const statuses = new Set<number>();
  const full = { from: 'everything' };
  const examples: [Record<string, string>][] = [
    [{}],
    [{ after: own }],
    [{ after: foreign }],
    [{ after: unknown }],
    [{ after: later }],
    [{ after: later, repeat: 'true' }],
    [{ kind: 'x' }],
    ...Array.from({ length: 100 }, (): [Record<string, string>] => [full]),
  ];
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, value, { maxKeys: 3 }), async (values) => {
      const query = new URLSearchParams(values as Record<string, string>).toString();
      const { status } = await api.call('GET', `/events?${query}`, undefined, { key });
      statuses.add(status);
      expect([200, 400, 404, 409, 410], `${status} for ${query}`).toContain(status);
      expect(api.onError).not.toHaveBeenCalled();
    }),
    { ...runs(250), examples },
  );
  expect([...statuses].toSorted((a, b) => a - b)).toEqual([200, 400, 404, 409, 410]);
});

test('lines of all kinds are answered one for one', async () => {
  // The first campaign may be closed by another test.
  const { id } = (await api.call('POST', '/campaigns', { name: 'for lines' })).json;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          anyBody,
          word.map((text) => text.replaceAll(/[\n\r]/g, ' ')),
        ),
        { maxLength: 30 },
      ),
      async (values) => {
        const text = ndjson(values);
        const { lines } = await api.call('POST', `/campaigns/${id}/urls`, text, { headers: { 'content-type': 'application/x-ndjson' } });
        const sent = text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [i + 1]));
        expect(lines.map(({ line }) => line)).toEqual(sent);
      },
    ),
    runs(100),
  );
});
