import { z } from 'zod';
import { ClickledgerError } from '../../core/errors.ts';
import { explainDatabaseError, type Pool } from '../../core/postgres.ts';
import { VERDICTS, type Verdict } from '../../core/rules.ts';
import { ledgerFrom } from '../../feed/due.ts';
import { EVENT_KINDS, type EventKind, type Filter } from '../../feed/filter.ts';
import { CURSOR_FORM, type Cursor, formatCursor, newCheck, openPage, parseCursor, sealPage } from './cursor.ts';
import {
  acknowledge,
  advance,
  beginReader,
  findReader,
  issuePage,
  readContent,
  type Reader,
  readShardStates,
  type ShardStart,
} from './event-reader.ts';
import type { EventSource } from './event-sources.ts';
import { NDJSON } from './ndjson.ts';
import { ApiError, InputError } from './problems.ts';
import { type Page, readPage } from './read-page.ts';
import { type Answer, type ApiDeps, type Context, route } from './route.ts';
import { flagInQuery, id, limitInQuery, named, text, time, timeOut } from './schemas.ts';

// The resource `events`: all events, page after page, each once for a client that stores the cursor together with its work.
//
// cursor of the last page ──► the page counts as delivered ──► the next page is read from the shards, stored, and sent
// cursor before it        ──► the client did not receive or store the last page, so the same page is sent again
// any other cursor        ──► 410

export const MAX_WAIT_SECONDS = 60;
const MAX_SETTLE_SECONDS = 86_400;
const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 10_000;
const MAX_CAMPAIGNS = 100;
const DEFAULT_SETTLE_SECONDS = 60;

const listOf = (words: readonly string[]): RegExp => new RegExp(`^(?:${words.join('|')})(?:,(?:${words.join('|')}))*$`);
const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'it must be a whole number')
    .transform(Number)
    .pipe(z.int().min(0).max(max));

const filterFields = {
  kind: text(200)
    .regex(listOf(EVENT_KINDS), `it must be some of ${EVENT_KINDS.join(', ')}, separated by commas`)
    .optional()
    .describe(`only events of these kinds, separated by commas: ${EVENT_KINDS.join(', ')}; the default is all`),
  campaign: text(2000)
    .regex(/^\d{1,15}(?:,\d{1,15})*$/, 'it must be numbers of campaigns, separated by commas')
    .optional()
    .describe('only events of these campaigns, by number, separated by commas; the default is all'),
  verdict: text(200)
    .regex(listOf(['any', ...VERDICTS]), `it must be \`any\`, or some of ${VERDICTS.join(', ')}, separated by commas`)
    .optional()
    .describe('only hits with these verdicts, separated by commas, or `any`; the default is human'),
  from: text(100)
    .refine((value) => value === 'now' || value === 'everything' || time.safeParse(value).success, {
      error: 'it must be `now`, `everything`, or a time with an offset, e.g. 2026-12-01T09:30:00+01:00',
    })
    .optional()
    .describe('where the reading begins: `now`, `everything`, or a time: earlier events are left out; the default is now'),
  settle: wholeNumber(MAX_SETTLE_SECONDS)
    .optional()
    .describe(
      'the age in seconds that a click must have: until then, it may turn out to be part of a burst of a machine; the default is 60',
    ),
};
const FILTER_NAMES = Object.keys(filterFields) as (keyof typeof filterFields)[];

const EventsQuery = z
  .strictObject({
    after: z
      .string()
      .regex(CURSOR_FORM, 'it must be the value of `after` in the last line of an answer')
      .optional()
      .describe('the cursor of the last page that was processed; without it, a new reading begins'),
    limit: limitInQuery(MAX_LIMIT).optional().describe(`the number of events in a page; the default is ${DEFAULT_LIMIT}`),
    wait: wholeNumber(MAX_WAIT_SECONDS).optional().describe('if there are no events, how many seconds to wait for one; the default is 0'),
    repeat: flagInQuery
      .optional()
      .describe('whether to go on if the catalog was restored from a backup; then events come again that came after the backup'),
    ...filterFields,
  })
  .superRefine((query, context) => {
    if (query.after === undefined) return;
    for (const name of FILTER_NAMES)
      if (query[name] !== undefined)
        context.addIssue({
          code: 'custom',
          path: [name],
          message: 'the filter belongs to the cursor and cannot be changed: leave it out, or begin a new reading without `after`',
        });
  });
type EventsQuery = z.output<typeof EventsQuery>;

const maybe = <T extends z.ZodType>(type: T) => type.nullable().optional();
const EventLine = named(
  'Event',
  z
    .object({
      id: z.string().describe('the identity: it never changes, and no other event has it'),
      type: z.enum([...EVENT_KINDS, 'verdict.changed']),
      event_id: z.string().optional().describe('of verdict.changed: the id of the event whose verdict has changed'),
      kind: z.enum(EVENT_KINDS).optional().describe('of verdict.changed: the kind of the event'),
      was: z.enum(VERDICTS).optional().describe('of verdict.changed: the verdict before'),
      at: timeOut,
      recipient_id: id.nullable().describe('null: the recipient is not known'),
      campaign_id: id.nullable(),
      link_id: id.nullable(),
      link_version: maybe(id),
      request_id: z.string(),
      visitor: maybe(z.string()),
      country: maybe(z.string()),
      net: maybe(z.string()),
      referrer: maybe(z.string()),
      client: maybe(z.string()),
      client_version: maybe(z.string()),
      system: maybe(z.string()),
      device: maybe(z.string()),
      verdict: maybe(z.enum(VERDICTS)),
      signals: z.array(z.string()).optional(),
      rules: maybe(z.int()),
      site_id: maybe(id),
      name: maybe(z.string()),
      session: maybe(z.string()),
      page: maybe(z.string()),
      value: maybe(z.number()),
      currency: maybe(z.string()),
      properties: maybe(z.record(z.string(), z.unknown())),
      dropped: maybe(z.unknown()),
      shard: z.string(),
      gen: z.string(),
      off: z.int().min(0),
    })
    .describe('an event, or a change of its verdict. An unsubscribe has only some of the fields; visits and goals have more'),
);
const CursorLine = named(
  'Cursor',
  z
    .object({
      type: z.literal('cursor'),
      after: z.string().describe('the cursor of this page: store it when the page is processed'),
      more: z.boolean().describe('whether there is more that can be read at once'),
      missing: z.array(z.string()).describe('the shards that did not answer: their events come later'),
    })
    .describe('the last line of a page. Without it, the answer was cut'),
);
const PageLine = named('EventsLine', z.union([EventLine, CursorLine]).describe('an event, or the cursor in the last line'));

type EventContext = Context<undefined, EventsQuery, undefined>;

export const eventRoutes = [
  route<undefined, EventsQuery>({
    method: 'GET',
    path: '/events',
    operationId: 'readEvents',
    summary: 'Read events, page after page',
    description:
      'The last line of a page is its cursor. Process the page, store the cursor, and send it in `after` to get the next page. The same cursor gives the same page until the cursor of that page is sent. Without `after`, a new reading begins, and its filter stays the same.',
    role: 'analyst',
    query: EventsQuery,
    isLong: true,
    answers: { 200: { description: 'events, and the cursor in the last line', content: { [NDJSON]: PageLine } } },
    handle: (context) => context.deps.events.use((sources) => answerEvents(context, sources)),
  }),
];

async function answerEvents({ deps, key, query, gone, recheck }: EventContext, sources: readonly EventSource[]): Promise<Answer> {
  const { author, log, events } = deps;
  const begunMs = performance.now();
  const waitUntilMs = begunMs + (query.wait ?? 0) * 1000;
  const cursor = query.after === undefined ? await begin(deps, key, query, sources) : parseCursor(query.after);
  const cursorOf = (page: number, check: string): string => formatCursor({ ...cursor, page, check });
  // Another request with the same cursor may change the reading. Then this one begins anew, and finds what the other one has stored.
  while (!gone.aborted) {
    const reader = await findReader(author, key, cursor.secret);
    const place = placeOf(reader, cursor, query.repeat ?? false);
    if (place === 'last' && reader.hasPage) {
      await acknowledge(author, reader);
      continue;
    }
    if (reader.hasPage) {
      const content = await readContent(author, reader);
      if (content === undefined) continue;
      return answerOf(await openPage(cursor.secret, content));
    }
    const stateOf = await readShardStates(author, reader);
    const wanted = {
      filter: reader.filter,
      limit: query.limit ?? DEFAULT_LIMIT,
      waitUntilMs,
      number: reader.page,
      gone,
      stopping: events.stopping,
    };
    const page = await readPage(sources, stateOf, wanted, log);
    if (gone.aborted) break;
    if (query.wait !== undefined) await recheck();
    if (page.lines.length === 0) {
      // Nothing is lost or repeated if the client does not get this answer, so it needs no cursor of its own.
      if (page.progress.length > 0 && !(await advance(author, reader, page.progress))) continue;
      return answerOf(textOf(page, cursorOf(reader.page, reader.check)));
    }
    const check = newCheck();
    const content = textOf(page, cursorOf(reader.page + 1, check));
    if (await issuePage(author, reader, check, await sealPage(cursor.secret, content), page.progress)) return answerOf(content);
  }
  throw new ClickledgerError('unavailable', 'the client has gone');
}

const textOf = ({ lines, isMoreDue, missing }: Page, after: string): string =>
  `${[...lines, JSON.stringify({ type: 'cursor', after, more: isMoreDue, missing })].join('\n')}\n`;

const answerOf = (content: string): Answer => ({ status: 200, type: NDJSON, stream: partsOf(content) });

async function* partsOf(content: string): AsyncGenerator<string> {
  yield content;
}

/**
 * Says which page the client has: the last one, or the one before it. Throws `gone` for any other cursor. With `mayRepeat`, a cursor of a page that
 * this catalog does not know counts as the one before the last page.
 */
function placeOf(reader: Reader, { page, check }: Cursor, mayRepeat: boolean): 'last' | 'before' {
  if (page === reader.page && check === reader.check) return 'last';
  if (page === reader.page - 1 && check === reader.checkBefore) return 'before';
  if (page < reader.page - 1 || (page === reader.page - 1 && reader.checkBefore === null))
    throw new ApiError(
      'gone',
      'a later cursor of this reading was used, and the pages before it are no longer kept. Use the latest cursor. If you have lost events, begin a new reading without `after`, with from=everything or a time. Events have the same ids as before, so leave out those that you have.',
    );
  if (mayRepeat) return 'before';
  throw new ApiError(
    'gone',
    'this cursor is later than what the catalog knows of the reading, because the catalog was restored from a backup. Send the request again with repeat=true: the reading goes on, and the events after the backup come again with the same ids, so leave out those that you have.',
  );
}

/** Begins a reading: checks the filter, reads where the shards are now, and stores both. */
async function begin(deps: ApiDeps, key: string, query: EventsQuery, sources: readonly EventSource[]): Promise<Cursor> {
  const { kind, campaign, verdict = 'human', from = 'now', settle = DEFAULT_SETTLE_SECONDS } = query;
  const since = from === 'now' || from === 'everything' ? null : time.parse(from);
  const verdicts = verdict.split(',');
  const campaigns = campaign === undefined ? null : [...new Set(campaign.split(',').map(Number))];
  if (campaigns !== null) await assertCampaigns(deps.analyst, campaigns);
  const filter: Filter = {
    kinds: kind === undefined ? EVENT_KINDS : ([...new Set(kind.split(','))] as EventKind[]),
    campaigns,
    verdicts: verdicts.includes('any') ? null : ([...new Set(verdicts)] as Verdict[]),
    since,
    waitMs: settle * 1000,
  };
  const until = since ?? (from === 'now' ? 'infinity' : '-infinity');
  const starts = await Promise.all(sources.map((source) => readStart(source, until)));
  return beginReader(deps.author, key, filter, starts);
}

async function assertCampaigns(analyst: Pool, wanted: readonly number[]): Promise<void> {
  if (wanted.length > MAX_CAMPAIGNS)
    throw new InputError('the query: /campaign: too many campaigns', [
      { pointer: '/campaign', message: `it may name at most ${MAX_CAMPAIGNS} campaigns` },
    ]);
  const { rows } = await analyst.query<{ id: number }>('SELECT campaign_id AS id FROM analytics.campaigns WHERE campaign_id = ANY ($1)', [
    wanted,
  ]);
  const found = new Set(rows.map(({ id: one }) => one));
  const unknown = wanted.find((one) => !found.has(one));
  if (unknown !== undefined) throw new ClickledgerError('not-found', `there is no campaign ${unknown}`);
}

/** Reads the generations whose last commit is before `until`, and the last change of a verdict, at one moment. */
async function readStart({ shard, pool }: EventSource, until: Date | string): Promise<ShardStart> {
  try {
    const { rows } = await pool.query<{ gen: string | null; committed: string | null; id: number; changed_at: string }>(
      `SELECT l.gen, l.committed, c.id, c.changed_at::text AS changed_at
       FROM shard.last_change() AS c LEFT JOIN (
         SELECT every.gen, every.committed FROM shard.feed_state('-infinity') AS every
         WHERE NOT EXISTS (SELECT FROM shard.feed_state($1) AS late WHERE late.gen = every.gen)
       ) AS l ON l.gen IS NOT NULL`,
      [until],
    );
    const { id: changeId, changed_at } = rows[0] as (typeof rows)[number];
    return {
      shard,
      before: ledgerFrom(rows.map(({ gen, committed }) => [gen, committed])),
      position: { id: changeId, changedAt: changed_at },
    };
  } catch (error) {
    const explained = explainDatabaseError(error);
    if (explained.code !== 'unavailable') throw explained;
    throw new ClickledgerError(
      'unavailable',
      `a new reading needs all shards, and shard ${shard} does not answer: send the request again`,
      {
        cause: error,
      },
    );
  }
}
