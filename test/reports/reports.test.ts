import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink, retarget } from '../../authoring/links.ts';
import { setTest, copyFlagsToShards } from '../../authoring/recipients.ts';
import { fillIn, listReports, type Report, readReport } from '../../reporting/report-file.ts';
import { createDesk } from '../../desk/app.ts';
import { runReport } from '../../reporting/run-report.ts';
import { clickledger } from '../support/commands.ts';
import { runPsql, PSQL } from '../support/psql.ts';
import { toRows } from '../support/results.ts';
import { temporaryDirectory } from '../support/servers.ts';
import { DAY, HOUR, MINUTE } from '../traffic/figures.ts';
import { type Hit, type Kind, SHARED, type Who } from '../traffic/hits.ts';
import {
  clicksByLink,
  firstClickDelays,
  forwards,
  hitsByHour,
  mostEngaged,
  nonOpeners,
  peopleOf,
  recipientsWhoOpened,
  totals,
  uniqueRecipients,
  visitorsPerLink,
  weekHeatmap,
} from '../traffic/recount.ts';
import { type Letter, makeLetter, type Setup, send, setting, startSetup, type StoredHit, storedHits } from './letters.ts';

// Newsletters with known traffic go through the whole system, on one shard and on three shards. Then every report must return the same
// result as a recount of the traffic.

// The time is in the future, so that the salt of the day does not exist yet. In the 30 days after this time, the clocks in New York change.
const SENT_AT = Date.UTC(new Date().getUTCFullYear() + 1, 9, 20, 7);
const LINKS = [
  { target: 'https://shop.example/sale?a=1&b=2' },
  { target: 'https://shop.example/news' },
  { target: "https://shop.example/it's" },
  // The same address as the first link, at a later position in the letter.
  { target: 'https://shop.example/sale?a=1&b=2', label: 'button' },
  { target: 'https://shop.example/imprint' },
  { target: 'https://shop.example/wrong' },
] as const;
const RIGHT = 'https://shop.example/right';
const ZONES = ['UTC', 'Asia/Kolkata', 'America/New_York'] as const;

type Row = Record<string, string | number | null>;

const OPTIONS = { timeoutSeconds: 60, zone: 'UTC' };

interface World {
  setup: Setup;
  /** The newsletter that the reports are about, and an earlier newsletter to the same people. Both contain one common address. */
  letter: Letter;
  other: Letter;
  /** The counted hits of the newsletter. Their true cause is replaced by the stored verdict. */
  hits: StoredHit[];
  /** Those of the earlier newsletter. */
  otherHits: StoredHit[];
  /** The index of a recipient who clicked and is marked as a test recipient. */
  tester: number;
}

let worlds: World[];
const singleShardWorld = (): World => worlds[0] as World;

beforeAll(async () => {
  worlds = await Promise.all([1, 3].map(createWorld));
}, 120_000);

afterAll(() => Promise.all((worlds ?? []).map(({ setup }) => setup.stop())));

async function createWorld(shardCount: number): Promise<World> {
  const setup = await startSetup(shardCount);
  try {
    const options = { people: 'reader', links: LINKS.length, recipients: 800, set: 'ordinary' } as const;
    // The last link of the letter is created first, so it has the lowest number.
    const { id: autumn } = await ensureCampaign(setup.author, 'autumn', { fallbackUrl: 'https://shop.example/' });
    await ensureLink(setup.author, autumn, { kind: 'url', ...(LINKS.at(-1) as (typeof LINKS)[number]) });
    const letter = await makeLetter(setup, { ...options, name: 'autumn', seed: 107, sentAt: SENT_AT, targets: LINKS });
    const targets = LINKS.map(({ target }, i) => ({
      target: i === 1 ? target : `${target}#before`,
      ...(i === 3 ? { label: 'button' } : {}),
    }));
    const other = await makeLetter(setup, { ...options, name: 'summer', seed: 7, sentAt: SENT_AT - 5 * DAY, targets });
    await retarget(setup.author, letter.links[5]?.id as number, RIGHT);
    const shared = letter.hits.find(({ recipient }) => recipient === SHARED) as Hit;
    await ensureAlias(setup.author, 'posted-link', letter.links[shared.link]?.id as number);
    await send(setup, [other, letter]);

    // These are read before a recipient is marked as a test recipient, whose hits cannot be read.
    const [allHits, allOtherHits] = [await storedHits(setup.analyst, letter), await storedHits(setup.analyst, other)];
    const clicker = letter.hits.find(
      ({ recipient, kind, truth }) => kind === 'click' && truth.who === 'person' && recipient !== SHARED,
    ) as Hit;
    const tester = clicker.recipient;
    const id = letter.people[tester]?.id as number;
    await setTest(setup.author, [id], true);
    await copyFlagsToShards(setup.author, setup.shards, setting(setup.system, 'AUTHOR_URL'), [id]);
    const [hits, otherHits] = [countedHits(allHits, tester), countedHits(allOtherHits, tester)];
    await setPrepared(setup, [letter, other]);
    return { setup, letter, other, hits, otherHits, tester };
  } catch (error) {
    await setup.stop();
    throw error;
  }
}

function countedHits(all: readonly (StoredHit | undefined)[], tester: number): StoredHit[] {
  return all.flatMap((hit) => {
    if (hit === undefined) throw new Error('a hit is not stored');
    const who: Who = hit.verdict === 'human' ? 'person' : 'machine';
    return hit.recipient === tester ? [] : [{ ...hit, truth: { who, cause: hit.truth.cause } }];
  });
}

/** Sets the time at which mail was prepared to that of sending. It is now otherwise, because the traffic is in the future. */
async function setPrepared({ system }: Setup, letters: readonly Letter[]): Promise<void> {
  const owner = new pg.Client({ connectionString: setting(system, 'CATALOG_URL') });
  await owner.connect();
  try {
    for (const { campaign, sentAt } of letters)
      await owner.query('UPDATE catalog.mailing SET prepared_at = $2 WHERE campaign_id = $1', [campaign, new Date(sentAt)]);
  } finally {
    await owner.end();
  }
}

async function rowsOf(world: World, name: string, values: Record<string, string> = {}): Promise<Row[]> {
  return toRows(await runReport(world.setup.analyst, await readReport(name), values, OPTIONS));
}

/** Returns the rows of a report about the newsletter. */
const rowsOfLetter = (world: World, name: string, values: Record<string, string> = {}): Promise<Row[]> =>
  rowsOf(world, name, { campaign: String(world.letter.campaign), ...values });

const pick = (rows: readonly Row[], ...columns: string[]): Row[] =>
  rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] as Row[string]])));

/** Returns all hits as if people had made them, for counts that include machines. */
const asPeople = (hits: readonly Hit[]): Hit[] => hits.map((hit) => ({ ...hit, truth: { ...hit.truth, who: 'person' } }));
const percentOf = (part: number, whole: number): number => Math.round((10_000 * part) / whole) / 100;
const sum = (rows: readonly Row[], column: string): number => rows.reduce((total, row) => total + Number(row[column]), 0);

/** Returns the UTC offset of a time zone at a time, in minutes. */
function offsetOf(zone: string, t: number): number {
  const parts = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(t);
  const [, sign = '+', hours = '0', minutes = '0'] =
    /^GMT(?:([+-])(\d\d):(\d\d))?$/.exec(parts.find(({ type }) => type === 'timeZoneName')?.value ?? '') ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/** Returns the hits in order of time, split at each change of the UTC offset. */
function byOffset<T extends Hit>(hits: readonly T[], zone: string): [offset: number, hits: T[]][] {
  const stretches: [number, T[]][] = [];
  for (const hit of [...hits].sort((a, b) => a.t - b.t)) {
    const offset = offsetOf(zone, hit.t);
    const last = stretches.at(-1);
    if (last?.[0] === offset) last[1].push(hit);
    else stretches.push([offset, [hit]]);
  }
  return stretches;
}

/** Returns a local time as text. If the clock shows this time twice, the offset is appended. */
function labelOf(text: string, offset: number, zone: string): string {
  const local = Date.parse(`${text.replace(' ', 'T')}Z`);
  const others = [-120, -60, -30, 30, 60, 120].map((minutes) => offset + minutes);
  if (!others.some((other) => offsetOf(zone, local - other * MINUTE) === other)) return text;
  const two = (n: number): string => String(Math.floor(Math.abs(n))).padStart(2, '0');
  return `${text}${offset < 0 ? '-' : '+'}${two(offset / 60)}:${two(Math.abs(offset) % 60)}`;
}

const hourly = (hits: readonly Hit[], zone: string, kind: Kind): [string, Record<Who, number>][] =>
  byOffset(hits, zone).flatMap(([offset, stretch]) =>
    Array.from(
      hitsByHour(
        stretch.filter((hit) => hit.kind === kind),
        offset,
      ),
      ([hour, table]): [string, Record<Who, number>] => [labelOf(`${hour.replace('T', ' ')}:00`, offset, zone), table[kind]],
    ),
  );

const forEachWorld = (check: (world: World) => Promise<void>) => async () => {
  for (const world of worlds) await check(world);
};

test('the traffic has what the reports are about', () => {
  for (const { hits, letter, tester } of worlds) {
    expect(hits.length).toBe(letter.hits.filter(({ recipient }) => recipient !== tester).length);
    const { click, open } = totals(hits);
    for (const count of [click.person, click.machine, open.person, open.machine]) expect(count).toBeGreaterThan(20);
    expect(hits.some(({ recipient }) => recipient === SHARED)).toBe(true);
    expect(forwards(hits).length).toBeGreaterThan(0);
    expect(new Set(hits.map(({ t }) => offsetOf('America/New_York', t))).size).toBe(2);
  }
});

describe('reports say what a recount says', () => {
  test(
    'campaign-summary',
    forEachWorld(async (world) => {
      const { letter, hits, tester } = world;
      const rows = await rowsOfLetter(world, 'campaign-summary');
      const table = totals(hits);
      const people = (counted: readonly Hit[]): Record<Kind, number> => ({
        click: uniqueRecipients(counted).click.person,
        open: recipientsWhoOpened(counted),
      });
      const [human, any] = [people(hits), people(asPeople(hits))];
      expect(human.open).toBeGreaterThan(uniqueRecipients(hits).open.person);
      const prepared = letter.people.length - 1;
      const unsure = (kind: Kind) => hits.filter((hit) => hit.kind === kind && hit.verdict === 'unsure');
      expect(unsure('click').length + unsure('open').length).toBeGreaterThan(0);
      const row = (kind: Kind): Row => ({
        campaign_id: letter.campaign,
        campaign: 'autumn',
        kind,
        hits: table[kind].person + table[kind].machine,
        human_hits: table[kind].person,
        machine_hits: table[kind].machine - unsure(kind).length,
        unsure_hits: unsure(kind).length,
        recipients: any[kind],
        human_recipients: human[kind],
        machine_only_recipients: any[kind] - human[kind],
        unsure_recipients: uniqueRecipients(asPeople(unsure(kind)))[kind].person,
        prepared_for: prepared,
        percent: percentOf(any[kind], prepared),
        human_percent: percentOf(human[kind], prepared),
        click_to_open_percent: kind === 'click' ? percentOf(any.click, any.open) : null,
        human_click_to_open_percent: kind === 'click' ? percentOf(human.click, human.open) : null,
      });
      expect(rows).toEqual([row('click'), row('open')]);
      // With the setting, rates count recipients with an unsure hit as people.
      const likely = people(asPeople(hits.filter(({ verdict }) => verdict === 'human' || verdict === 'unsure')));
      const report = await readReport('campaign-summary');
      const values = { campaign: `${letter.campaign}` };
      const counting = toRows(await runReport(world.setup.analyst, report, values, { ...OPTIONS, countUnsure: true }));
      const withLikely = (kind: Kind): Row => ({
        ...row(kind),
        human_recipients: likely[kind],
        machine_only_recipients: any[kind] - likely[kind],
        human_percent: percentOf(likely[kind], prepared),
        human_click_to_open_percent: kind === 'click' ? percentOf(likely.click, likely.open) : null,
      });
      expect(counting).toEqual([withLikely('click'), withLikely('open')]);
      // Independent of the verdict, no hit is lost and no hit is stored twice.
      const sent = letter.hits.filter(({ recipient }) => recipient !== tester);
      const truth = totals(sent);
      expect(rows.map((r) => r['hits'])).toEqual([truth.click, truth.open].map(({ person, machine }) => person + machine));
      const reached = people(asPeople(sent));
      expect(rows.map((r) => r['recipients'])).toEqual([reached.click, reached.open]);
    }),
  );

  test(
    'compare-campaigns',
    forEachWorld(async (world) => {
      const { letter, other, hits } = world;
      const rows = await rowsOf(world, 'compare-campaigns');
      expect(rows.map((row) => row['campaign_id'])).toEqual([letter.campaign, other.campaign]);
      const table = totals(hits);
      const [opened, clicked] = [recipientsWhoOpened(hits), uniqueRecipients(hits).click.person];
      const prepared = letter.people.length - 1;
      expect(rows[0]).toEqual({
        campaign_id: letter.campaign,
        campaign: 'autumn',
        sent_at: `${new Date(SENT_AT).toISOString().slice(0, 19).replace('T', ' ')}+00`,
        prepared_for: prepared,
        human_recipients_opened: opened,
        human_recipients_clicked: clicked,
        human_open_percent: percentOf(opened, prepared),
        human_click_percent: percentOf(clicked, prepared),
        human_click_to_open_percent: percentOf(clicked, opened),
        human_opens: table.open.person,
        human_clicks: table.click.person,
        machine_opens: table.open.machine,
        machine_clicks: table.click.machine,
      });
      expect(await rowsOf(world, 'compare-campaigns', { campaigns: `${other.campaign}` })).toEqual([rows[1]]);
      expect(await rowsOf(world, 'compare-campaigns', { campaigns: `${other.campaign}, ${letter.campaign}`, limit: '1' })).toEqual([
        rows[0],
      ]);
    }),
  );

  describe.each(ZONES)('by the clock of %s', (timezone) => {
    test.each(['open', 'click'] as const)('%ss-by-hour', async (kind) => {
      for (const world of worlds) {
        const rows = await rowsOfLetter(world, `${kind}s-by-hour`, { timezone });
        expect(
          rows.filter(({ hits }) => hits !== 0).map((row) => [row['hour'], { person: row['human_hits'], machine: row['machine_hits'] }]),
        ).toEqual(hourly(world.hits, timezone, kind));
        // Every hour between the first and the last hour has exactly one row.
        const times = world.hits.filter((hit) => hit.kind === kind).map(({ t }) => t);
        const hourOf = (t: number): number => Math.floor((t + offsetOf(timezone, t) * MINUTE) / HOUR) - offsetOf(timezone, t) / 60;
        expect(rows.length).toBe(hourOf(Math.max(...times)) - hourOf(Math.min(...times)) + 1);
        expect(rows.every((row) => row['hits'] === Number(row['human_hits']) + Number(row['machine_hits']))).toBe(true);
      }
    });

    test(
      'clicks-by-hour from a time to a time',
      forEachWorld(async (world) => {
        const [from, to] = [SENT_AT + 90 * MINUTE, SENT_AT + 2 * DAY];
        const clock = (t: number): string => new Date(t + offsetOf(timezone, t) * MINUTE).toISOString().slice(0, 16).replace('T', ' ');
        const rows = await rowsOfLetter(world, 'clicks-by-hour', { timezone, from: clock(from), to: clock(to) });
        const within = world.hits.filter(({ t }) => t >= from && t < to);
        expect(within.length).toBeGreaterThan(10);
        expect(
          rows.filter(({ hits }) => hits !== 0).map((row) => [row['hour'], { person: row['human_hits'], machine: row['machine_hits'] }]),
        ).toEqual(hourly(within, timezone, 'click'));
        expect(await rowsOfLetter(world, 'clicks-by-hour', { timezone, from: clock(from), to: clock(to), limit: '3' })).toEqual(
          rows.slice(0, 3),
        );
      }),
    );

    test(
      'unique-clicks-of-url',
      forEachWorld(async (world) => {
        const url = LINKS[0].target;
        const clicks = world.hits.filter(
          ({ kind, link, recipient, truth }) =>
            kind === 'click' && LINKS[link]?.target === url && recipient !== SHARED && truth.who === 'person',
        );
        const rows = await rowsOfLetter(world, 'unique-clicks-of-url', { timezone, url });
        const first = new Set(
          firstClickDelays(clicks, 0)
            .entries()
            .map(([recipient, t]) => `${recipient} ${t}`),
        );
        const expected = byOffset(clicks, timezone).flatMap(([offset, stretch]) =>
          Map.groupBy(stretch, ({ t }) => new Date(t + offset * MINUTE).toISOString().slice(0, 13).replace('T', ' '))
            .entries()
            .map(([hour, hits]) => ({
              hour: labelOf(`${hour}:00`, offset, timezone),
              human_hits: hits.length,
              human_recipients: uniqueRecipients(hits).click.person,
              new_human_recipients: hits.filter(({ recipient, t }) => first.has(`${recipient} ${t}`)).length,
            }))
            .toArray(),
        );
        expect(expected.length).toBeGreaterThan(3);
        expect(rows.filter((row) => row['human_hits'] !== 0)).toEqual(expected);
        expect(sum(rows, 'new_human_recipients')).toBe(uniqueRecipients(clicks).click.person);
        // Whether a recipient is new does not depend on the start of the period.
        const [half] = expected.slice(Math.floor(expected.length / 2)) as [(typeof expected)[number]];
        expect((await rowsOfLetter(world, 'unique-clicks-of-url', { timezone, url, from: half.hour }))[0]).toEqual(
          rows.find(({ hour }) => hour === half.hour),
        );
      }),
    );

    test.each(['open', 'click'] as const)('day-of-week-heatmap of %ss', async (kind) => {
      for (const world of worlds) {
        const rows = await rowsOfLetter(world, 'day-of-week-heatmap', { timezone, kind });
        const week = (who: Who): number[] => {
          const stretches = byOffset(world.hits, timezone).map(([offset, hits]) => weekHeatmap(hits, kind, who, offset).flat());
          return stretches.reduce((a, b) => a.map((count, i) => count + (b[i] as number)));
        };
        expect(rows.map(({ weekday, hour }) => `${String(weekday)} ${String(hour)}`)).toEqual(
          ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].flatMap((day) => Array.from({ length: 24 }, (_, hour) => `${day} ${hour}`)),
        );
        expect(rows.map((row) => row['human_hits'])).toEqual(week('person'));
        expect(rows.map((row) => row['machine_hits'])).toEqual(week('machine'));
        expect(rows.every((row) => row['hits'] === Number(row['human_hits']) + Number(row['machine_hits']))).toBe(true);
      }
    });

    test(
      'recipient-timeline',
      forEachWorld(async (world) => {
        const { letter, other, hits } = world;
        const [busiest] = mostEngaged(hits);
        const person = busiest?.recipient as number;
        const rows = await rowsOfLetter(world, 'recipient-timeline', {
          timezone,
          recipient: letter.people[person]?.email.toUpperCase() as string,
        });
        const expected = hits
          .filter(({ recipient }) => recipient === person)
          .map((hit) => ({
            at: labelOf(
              new Date(Math.floor(hit.t / 1000) * 1000 + offsetOf(timezone, hit.t) * MINUTE).toISOString().slice(0, 19).replace('T', ' '),
              offsetOf(timezone, hit.t),
              timezone,
            ),
            recipient_id: letter.people[person]?.id as number,
            campaign_id: letter.campaign,
            kind: hit.kind,
            link: hit.kind === 'open' ? null : nameOf(hit.link),
            verdict: hit.verdict,
            country: hit.country,
            device: hit.device,
          }));
        expect(expected.length).toBeGreaterThan(2);
        expect(pick(rows, 'at', 'recipient_id', 'campaign_id', 'kind', 'link', 'verdict', 'country', 'device')).toEqual(expected);
        const everything = await rowsOf(world, 'recipient-timeline', { recipient: letter.people[person]?.email as string });
        expect(everything.length).toBe(expected.length + other.hits.filter(({ recipient }) => recipient === person).length);
        expect(await rowsOf(world, 'recipient-timeline', { recipient: letter.people[person]?.externalId as string })).toEqual(everything);
        for (const recipient of ['', letter.people[world.tester]?.email as string])
          expect(await rowsOf(world, 'recipient-timeline', { recipient })).toEqual([]);
        await expect(rowsOf(world, 'recipient-timeline', { recipient: 'nobody@example.com' })).rejects.toMatchObject({ code: 'not-found' });
      }),
    );
  });

  test(
    'clicks-by-link',
    forEachWorld(async (world) => {
      const { letter, hits } = world;
      const rows = await rowsOfLetter(world, 'clicks-by-link');
      const [counts, any] = [clicksByLink(hits), clicksByLink(asPeople(hits))];
      const expected = letter.links.map(({ id }, i) => {
        const { person, machine, people } = counts.get(i) ?? { person: 0, machine: 0, people: 0 };
        return {
          campaign_id: letter.campaign,
          position: i + 1,
          link_id: id,
          link: nameOf(i),
          target: targetOf(i),
          hits: person + machine,
          human_hits: person,
          machine_hits: machine,
          recipients: any.get(i)?.people ?? 0,
          human_recipients: people,
        };
      });
      // The rows are in the order of the links in the letter. This order differs from the order of the link numbers and from the order of
      // the clicks.
      expect(expected.map(({ link_id }) => link_id)).not.toEqual(expected.map(({ link_id }) => link_id).toSorted((a, b) => a - b));
      expect(rows).toEqual(expected);
    }),
  );

  test(
    'clicks-of-url, of several links, by any address the link has had',
    forEachWorld(async (world) => {
      const { letter, other, hits } = world;
      const expected = (...links: number[]): Row => {
        const clicks = hits.filter(({ kind, link }) => kind === 'click' && links.includes(link)).map((hit) => ({ ...hit, link: 0 }));
        const { person, machine, people } = clicksByLink(clicks).get(0) as { person: number; machine: number; people: number };
        const recipients = clicksByLink(asPeople(clicks)).get(0)?.people as number;
        return {
          links: links.length,
          hits: person + machine,
          human_hits: person,
          machine_hits: machine,
          recipients,
          human_recipients: people,
        };
      };
      const counts = ['links', 'hits', 'human_hits', 'machine_hits', 'recipients', 'human_recipients'];
      for (const [url, ...links] of [
        [LINKS[0].target, 0, 3],
        [LINKS[2].target, 2],
        [LINKS[5].target, 5],
        [RIGHT, 5],
      ] as const) {
        const rows = await rowsOf(world, 'clicks-of-url', { url });
        expect(pick(rows, 'campaign', 'url', ...counts)).toEqual([{ campaign: 'autumn', url: targetOf(links[0]), ...expected(...links) }]);
      }
      const both = await rowsOf(world, 'clicks-of-url', { url: LINKS[1].target });
      expect(pick(both, 'campaign_id')).toEqual([{ campaign_id: other.campaign }, { campaign_id: letter.campaign }]);
      expect(pick(both.slice(1), ...counts)).toEqual([expected(1)]);
      expect((await rowsOfLetter(world, 'clicks-of-url')).length).toBe(LINKS.length - 1);
      await expect(rowsOf(world, 'clicks-of-url', { url: 'https://shop.example/nowhere' })).rejects.toMatchObject({ code: 'not-found' });
    }),
  );

  test(
    'did-recipient-click',
    forEachWorld(async (world) => {
      const { letter, hits } = world;
      const url = LINKS[1].target;
      const outcomes = new Set<unknown>();
      for (const [i, { email, externalId }] of letter.people.entries()) {
        if (i % 25 !== 0 && !hits.some(({ kind, recipient, link }) => kind === 'click' && recipient === i && link === 1)) continue;
        const { person, machine } = clicksByLink(hits.filter(({ recipient }) => recipient === i)).get(1) ?? { person: 0, machine: 0 };
        const clicked = person > 0 ? 'yes' : machine > 0 ? 'only machines' : 'no';
        outcomes.add(clicked);
        const rows = await rowsOfLetter(world, 'did-recipient-click', { recipient: i % 2 === 0 ? email : externalId, url });
        if (i !== world.tester)
          expect(pick(rows, 'recipient', 'link', 'clicked', 'human_hits', 'machine_hits')).toEqual([
            { recipient: email, link: url, clicked, human_hits: person, machine_hits: machine },
          ]);
      }
      expect(outcomes.size).toBe(3);
      // A link that was retargeted is found by both of its addresses.
      const { email } = letter.people[clickerOf(hits, 5)] as { email: string };
      for (const address of [LINKS[5].target, RIGHT])
        expect(pick(await rowsOfLetter(world, 'did-recipient-click', { recipient: email, url: address }), 'target', 'clicked')).toEqual([
          { target: RIGHT, clicked: 'yes' },
        ]);
      const tester = await rowsOfLetter(world, 'did-recipient-click', { recipient: letter.people[world.tester]?.email as string, url });
      expect(pick(tester, 'clicked', 'human_hits')).toEqual([{ clicked: 'not counted', human_hits: 0 }]);
      await expect(rowsOf(world, 'did-recipient-click', { recipient: 'nobody@example.com', url })).rejects.toMatchObject({
        code: 'not-found',
      });
    }),
  );

  test(
    'non-openers',
    forEachWorld(async (world) => {
      const { letter, hits, tester } = world;
      for (const [opened_by, by] of [
        ['person', 'person'],
        ['anyone', 'anyone'],
      ] as const) {
        const rows = await rowsOfLetter(world, 'non-openers', { opened_by });
        const expected = nonOpeners(hits, letter.people.length, by).filter((i) => i !== tester);
        expect(rows.map((row) => row['email'])).toEqual(expected.map((i) => letter.people[i]?.email));
        const machineOpens = (i: number) => totals(hits.filter(({ recipient }) => recipient === i)).open.machine;
        expect(rows.map((row) => row['machine_opens'])).toEqual(expected.map(machineOpens));
        const few = await rowsOfLetter(world, 'non-openers', { opened_by, limit: '2' });
        expect(few).toEqual(rows.slice(0, 2));
      }
    }),
  );

  /** Returns the addresses of people in the order of their numbers. */
  const addressesOf = ({ letter }: World, people: Iterable<number>): (string | undefined)[] =>
    [...people].toSorted((a, b) => a - b).map((person) => letter.people[person]?.email);
  const without = (people: ReadonlySet<number>, others: ReadonlySet<number>): Set<number> => people.difference(others);
  const clickersOf = (hits: readonly Hit[], target?: string): Set<number> =>
    peopleOf(hits.filter(({ kind, link }) => kind === 'click' && (target === undefined || LINKS[link]?.target === target)));
  const isUnsureOrHuman = ({ verdict }: StoredHit): boolean => verdict === 'human' || verdict === 'unsure';
  const runCounting = async ({ setup }: World, name: string, values: Record<string, string>): Promise<Row[]> =>
    toRows(await runReport(setup.analyst, await readReport(name), values, { ...OPTIONS, countUnsure: true }));
  const emails = (rows: readonly Row[]) => rows.map((row) => row['email']);

  test(
    'clicked-not',
    forEachWorld(async (world) => {
      const { letter, other, hits, otherHits } = world;
      const [later, earlier] = [clickersOf(hits), clickersOf(otherHits)];
      const not = String(other.campaign);
      const rows = await rowsOfLetter(world, 'clicked-not', { not });
      expect(without(later, earlier).size).toBeGreaterThan(3);
      expect(later.intersection(earlier).size).toBeGreaterThan(0);
      expect(emails(rows)).toEqual(addressesOf(world, without(later, earlier)));
      expect(rows[0]).toEqual({
        recipient_id: letter.people.find(({ email }) => email === rows[0]?.['email'])?.id,
        email: rows[0]?.['email'],
        external_id: letter.people.find(({ email }) => email === rows[0]?.['email'])?.externalId,
      });
      expect(await rowsOfLetter(world, 'clicked-not', { not, limit: '2' })).toEqual(rows.slice(0, 2));
      const [sale, news] = [LINKS[0].target, LINKS[1].target];
      for (const [values, expected] of [
        [{}, later],
        [{ url: sale }, clickersOf(hits, sale)],
        [{ not_url: news }, without(later, clickersOf(hits, news))],
        [{ url: sale, not_url: news }, without(clickersOf(hits, sale), clickersOf(hits, news))],
        [{ url: sale, not }, without(clickersOf(hits, sale), earlier)],
      ] as const)
        expect(emails(await rowsOfLetter(world, 'clicked-not', values)), JSON.stringify(values)).toEqual(addressesOf(world, expected));
      expect(emails(await rowsOf(world, 'clicked-not'))).toEqual(addressesOf(world, later.union(earlier)));
      // With the setting, people with an unsure click count, too.
      const [likely, likelyEarlier] = [hits, otherHits].map((of) => clickersOf(asPeople(of.filter(isUnsureOrHuman))));
      const counting = await runCounting(world, 'clicked-not', { campaign: String(letter.campaign), not });
      expect(emails(counting)).toEqual(addressesOf(world, without(likely as Set<number>, likelyEarlier as Set<number>)));
    }),
  );

  /** Moments before, within and after the hits of both newsletters. */
  const MOMENTS = [-10, -5, -4.3, -1, 0, 0.02, 0.4, 1, 3, 40].map((days) => SENT_AT + days * DAY);

  test(
    'inactive-since',
    forEachWorld(async (world) => {
      const { letter, other, tester } = world;
      const all = [...world.hits, ...world.otherHits];
      for (const since of MOMENTS) {
        const letters = [letter, other].filter(({ sentAt }) => sentAt >= since).length;
        const mailed = new Set(letters === 0 ? [] : letter.people.keys().filter((person) => person !== tester));
        const values = { since: new Date(since).toISOString() };
        const active = (hits: readonly Hit[]): Set<number> => peopleOf(hits.filter(({ t }) => t >= since));
        const rows = await rowsOf(world, 'inactive-since', values);
        expect(emails(rows), values.since).toEqual(addressesOf(world, without(mailed, active(all))));
        expect(new Set(rows.map((row) => row['letters']))).toEqual(new Set(letters === 0 ? [] : [letters]));
        expect(await rowsOf(world, 'inactive-since', { ...values, letters: '2' })).toEqual(letters === 2 ? rows : []);
        const likely = active(asPeople(all.filter(isUnsureOrHuman)));
        expect(emails(await runCounting(world, 'inactive-since', values))).toEqual(addressesOf(world, without(mailed, likely)));
      }
      expect(await rowsOf(world, 'inactive-since')).toEqual([]);
    }),
  );

  test(
    'newly-engaged',
    forEachWorld(async (world) => {
      const all = [...world.hits, ...world.otherHits].toSorted((a, b) => a.t - b.t);
      const firstOf = (hits: readonly Hit[]): [number, number][] =>
        [
          ...Map.groupBy(
            hits.filter(({ truth, recipient }) => truth.who === 'person' && recipient !== SHARED),
            ({ recipient }) => recipient,
          ),
        ].map(([person, [first]]) => [person, first?.t as number]);
      const periods = MOMENTS.flatMap((from, i) => [
        [from, MOMENTS[i + 1]] as const,
        [from, undefined] as const,
        [undefined, from] as const,
      ]);
      let found = 0;
      for (const [from, to] of periods) {
        const values = Object.fromEntries(
          Object.entries({ from, to }).flatMap(([name, t]) => (t === undefined ? [] : [[name, new Date(t).toISOString()]])),
        );
        const within = ([, t]: [number, number]): boolean => t >= (from ?? 0) && t < (to ?? Number.POSITIVE_INFINITY);
        const rows = await rowsOf(world, 'newly-engaged', values);
        const expected = firstOf(all).filter(within);
        found += expected.length;
        expect(emails(rows), JSON.stringify(values)).toEqual(
          addressesOf(
            world,
            expected.map(([person]) => person),
          ),
        );
        const times = new Map(expected.map(([person, t]) => [world.letter.people[person]?.email as string, t]));
        expect(rows.map((row) => Date.parse(String(row['first_hit_at'])))).toEqual(emails(rows).map((email) => times.get(String(email))));
        const likely = firstOf(asPeople(all.filter(isUnsureOrHuman))).filter(within);
        expect(emails(await runCounting(world, 'newly-engaged', values))).toEqual(
          addressesOf(
            world,
            likely.map(([person]) => person),
          ),
        );
      }
      expect(found).toBeGreaterThan(100);
    }),
  );

  test(
    'most-engaged',
    forEachWorld(async (world) => {
      const { letter, hits } = world;
      const rows = await rowsOfLetter(world, 'most-engaged', { limit: '100000' });
      const expected = mostEngaged(hits).map(({ recipient, clicks, opens }) => ({
        email: letter.people[recipient]?.email as string,
        human_clicks: clicks,
        links_clicked: clicksByLink(hits.filter((hit) => hit.recipient === recipient && hit.truth.who === 'person')).size,
        human_opens: opens,
      }));
      expect(pick(rows, 'email', 'human_clicks', 'links_clicked', 'human_opens')).toEqual(expected);
      expect(await rowsOfLetter(world, 'most-engaged')).toEqual(rows);
    }),
  );

  test(
    'non-openers and most-engaged of all campaigns are those of each, put together',
    forEachWorld(async (world) => {
      const { letter, other } = world;
      const ofEach = (name: string): Promise<Row[][]> =>
        Promise.all([letter, other].map(({ campaign }) => rowsOf(world, name, { campaign: String(campaign), limit: '100000' })));

      const [later, earlier] = (await ofEach('non-openers')) as [Row[], Row[]];
      const byCampaign = letter.campaign > other.campaign ? [...later, ...earlier] : [...earlier, ...later];
      expect(await rowsOf(world, 'non-openers', { limit: '100000' })).toEqual(byCampaign);

      const people = new Map<unknown, Row>();
      const counts = ['human_clicks', 'links_clicked', 'human_opens', 'campaigns'];
      for (const row of (await ofEach('most-engaged')).flat()) {
        const known = people.get(row['recipient_id']);
        const total = (column: string): number => Number(known?.[column] ?? 0) + Number(row[column]);
        people.set(row['recipient_id'], { ...row, ...Object.fromEntries(counts.map((column) => [column, total(column)])) });
      }
      const order = ({ human_clicks, human_opens, recipient_id }: Row): number[] => [
        -Number(human_clicks),
        -Number(human_opens),
        Number(recipient_id),
      ];
      const expected = [...people.values()].sort(
        (a, b) =>
          order(a)
            .map((n, i) => n - (order(b)[i] as number))
            .find((n) => n !== 0) ?? 0,
      );
      expect(new Set(expected.map(({ campaigns }) => campaigns))).toEqual(new Set([1, 2]));
      expect(await rowsOf(world, 'most-engaged', { limit: '100000' })).toEqual(expected);
      expect(await rowsOf(world, 'most-engaged', { limit: '3' })).toEqual(expected.slice(0, 3));
    }),
  );

  test(
    'first-click-delay',
    forEachWorld(async (world) => {
      const rows = await rowsOfLetter(world, 'first-click-delay');
      expect(new Set(rows.map(({ since }) => since))).toEqual(new Set(['sent']));
      const delays = [...firstClickDelays(world.hits, SENT_AT).values()];
      const ends = [0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 2 * DAY, 7 * DAY, Number.POSITIVE_INFINITY];
      expect(rows.map((row) => row['human_recipients'])).toEqual(
        ends.map((end, i) => delays.filter((delay) => delay < end && delay >= (ends[i - 1] ?? Number.NEGATIVE_INFINITY)).length),
      );
      expect(rows.map((row) => row['percent_until_then'])).toEqual(
        ends.map((end) => percentOf(delays.filter((delay) => delay < end).length, delays.length)),
      );
    }),
  );

  const FACETS: [name: string, column: string, kind: Kind, valueOf: (hit: StoredHit) => string][] = [
    ['countries', 'country', 'click', ({ country }) => country ?? 'unknown'],
    ['countries', 'country', 'open', ({ country }) => country ?? 'unknown'],
    ['devices', 'device', 'click', ({ device }) => device ?? 'unknown'],
    ['devices', 'device', 'open', ({ device }) => device ?? 'unknown'],
    ['mail-clients', 'mail_client', 'open', ({ client }) => client || 'unknown'],
    ['referrers', 'referrer', 'click', ({ referrer }) => (referrer === '' ? 'none named' : new URL(referrer).hostname)],
  ];
  test.each(FACETS)('%s by %s, of %ss', async (name, column, kind, valueOf) => {
    for (const world of worlds) {
      const takesKind = name === 'countries' || name === 'devices';
      const rows = await rowsOfLetter(world, name, takesKind ? { kind } : {});
      const groups = Map.groupBy(
        world.hits.filter((hit) => hit.kind === kind),
        valueOf,
      );
      expect(groups.size).toBeGreaterThan(1);
      const expected = groups.entries().map(([value, hits]) => {
        const { person, machine } = totals(hits)[kind];
        return {
          campaign_id: world.letter.campaign,
          [column]: value,
          hits: person + machine,
          human_hits: person,
          machine_hits: machine,
          recipients: uniqueRecipients(asPeople(hits))[kind].person,
          human_recipients: uniqueRecipients(hits)[kind].person,
        };
      });
      expect(sorted(rows)).toEqual(sorted(expected.toArray()));
      const order = rows.map((row) => Number(row['human_hits']));
      expect(order).toEqual(order.toSorted((a, b) => b - a));
    }
  });

  test(
    'machine-traffic',
    forEachWorld(async (world) => {
      const machines = world.hits.filter(({ verdict }) => verdict !== 'human');
      const groups = Map.groupBy(machines, ({ kind, verdict, net }) => [kind, verdict, net ?? 'unknown'].join());
      const expected = groups.entries().map(([group, hits]) => {
        const [kind = '', verdict = '', network = ''] = group.split(',');
        const recipients = uniqueRecipients(asPeople(hits))[kind as Kind].person;
        return { campaign_id: world.letter.campaign, kind, verdict, network, hits: hits.length, recipients };
      });
      expect(sorted(await rowsOfLetter(world, 'machine-traffic'))).toEqual(sorted(expected.toArray()));
    }),
  );

  test(
    'forwards',
    forEachWorld(async (world) => {
      const { letter, hits } = world;
      const rows = await rowsOfLetter(world, 'forwards');
      const expected = forwards(hits).map(({ recipient, link, day, visitors }) => ({
        email: letter.people[recipient]?.email as string,
        link: nameOf(link),
        utc_day: day,
        human_visitors: visitors,
      }));
      expect(sorted(pick(rows, 'email', 'link', 'utc_day', 'human_visitors'))).toEqual(sorted(expected));
    }),
  );

  test(
    'shared-links',
    forEachWorld(async (world) => {
      const { letter, hits } = world;
      const shared = hits.filter(({ recipient }) => recipient === SHARED);
      const human = visitorsPerLink(shared);
      const expected = visitorsPerLink(asPeople(shared)).map(({ link, day, visitors }) => ({
        link: 'posted-link',
        link_id: letter.links[link]?.id as number,
        utc_day: day,
        visitors,
        human_visitors: human.find((row) => row.link === link && row.day === day)?.visitors ?? 0,
      }));
      expect(expected.length).toBeGreaterThan(0);
      const rows = await rowsOfLetter(world, 'shared-links');
      expect(sorted(pick(rows, 'link', 'link_id', 'utc_day', 'visitors', 'human_visitors'))).toEqual(sorted(expected));
      const [day] = visitorsPerLink(asPeople(shared))
        .map((row) => row.day)
        .sort();
      const before = new Date(Date.parse(day as string) - DAY).toISOString().slice(0, 10);
      expect(await rowsOfLetter(world, 'shared-links', { to: before })).toEqual([]);
      expect(await rowsOfLetter(world, 'shared-links', { from: day as string, to: day as string })).toEqual(
        rows.filter((row) => row['utc_day'] === day),
      );
      expect(await rowsOfLetter(world, 'shared-links', { from: day as string })).toEqual(rows);
    }),
  );

  test(
    'completeness',
    forEachWorld(async (world) => {
      const { setup, letter, other } = world;
      const rows = await rowsOf(world, 'completeness');
      const bytes = Buffer.byteLength([...letter.lines, ...other.lines].join(''));
      expect(pick(rows, 'shard', 'committed_bytes', 'missing_bytes', 'holes')).toEqual(
        setup.shards.list.map(({ name }) => ({ shard: name, committed_bytes: bytes, missing_bytes: 0, holes: 0 })),
      );
    }),
  );

  const nameOf = (link: number): string => ('label' in LINKS[link]! ? LINKS[link].label : targetOf(link));
  /** Returns the index of a recipient who clicked a link as a person, according to the stored verdicts. */
  const clickerOf = (hits: readonly StoredHit[], wanted: number): number =>
    hits.find(({ kind, link, verdict, recipient }) => kind === 'click' && link === wanted && verdict === 'human' && recipient !== SHARED)
      ?.recipient as number;
  const targetOf = (link: number): string => (link === 5 ? RIGHT : (LINKS[link]?.target as string));
  const sorted = (rows: readonly Row[]): Row[] => rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
});

/** Returns the parameters for several calls of a report: the defaults, and values that exist in the data. */
function parameterSets(report: Report, { letter, hits }: World): Record<string, string>[] {
  const [busiest] = mostEngaged(hits);
  const values: Record<string, string> = {
    campaign: String(letter.campaign),
    campaigns: `${letter.campaign}`,
    recipient: letter.people[busiest?.recipient ?? 0]?.email as string,
    url: LINKS[2].target,
    timezone: 'Asia/Kolkata',
    from: new Date(SENT_AT).toISOString().slice(0, 10),
    to: new Date(SENT_AT + 3 * DAY).toISOString().slice(0, 10),
    limit: '7',
    kind: 'open',
    opened_by: 'anyone',
    site: 'shop.example',
    goal: 'order',
    not: String(letter.campaign),
    not_url: LINKS[1].target,
    since: new Date(SENT_AT - 5 * DAY).toISOString().slice(0, 10),
    letters: '1',
    segment: 'opened-not-clicked',
    link: '1',
    mailable: 'only',
    property: 'device',
    value: 'mobile',
  };
  const valuesWithout = (...omitted: string[]) =>
    Object.fromEntries(report.parameters.filter(({ name }) => !omitted.includes(name)).map(({ name }) => [name, values[name] as string]));
  return [{}, valuesWithout(), valuesWithout('url', 'limit', 'from', 'to'), valuesWithout('campaign', 'from', 'limit')];
}

/** Returns all values of both functions, each once. For a report with few parameters, many of them are equal. */
function differentValues(report: Report): Record<string, string>[] {
  const all = [...parameterSets(report, singleShardWorld()), ...periods(report)];
  return [...new Map(all.map((values) => [JSON.stringify(values), values])).values()];
}

/**
 * Returns parameters for a report that shows times or selects a period: time zones with days and times, at the clock change and at other
 * times.
 */
function periods(report: Report): Record<string, string>[] {
  const has = (wanted: string): boolean => report.parameters.some((parameter) => parameter.name === wanted);
  if (!has('timezone') && !has('from')) return [{}];
  const day = (days: number): string => new Date(SENT_AT + days * DAY).toISOString().slice(0, 10);
  const isByDay = report.parameters.some(({ type }) => type === 'day');
  const zones = ['UTC', 'Asia/Kathmandu', 'America/New_York', 'europe/berlin', 'Australia/Lord_Howe', 'Pacific/Apia'];
  const ranges: [from: string | undefined, to: string | undefined][] = [
    [day(0), day(0)],
    [day(1), day(20)],
    [undefined, day(2)],
    ...(isByDay
      ? []
      : ([
          [`${day(0)}T08:15Z`, `${day(3)} 12:30`],
          [`${day(0)} 00:00+05:45`, undefined],
        ] as [string, string | undefined][])),
  ];
  // Each zone is combined with only one range, but every zone and every range is used.
  const count = Math.max(has('timezone') ? zones.length : 1, has('from') ? ranges.length : 1);
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = ranges[i % ranges.length] as (typeof ranges)[number];
    return {
      ...(has('timezone') ? { timezone: zones[i % zones.length] as string } : {}),
      ...(has('from') && from !== undefined ? { from } : {}),
      ...(has('to') && to !== undefined ? { to } : {}),
    };
  });
}

const ALL_REPORTS = (await listReports()).map((report) => [report.name, report] as const);

describe.each(ALL_REPORTS)('%s', (name, report) => {
  test('gives the same on one shard and on three', async () => {
    if (name === 'completeness') return;
    const [first, second] = worlds as [World, World];
    for (const values of parameterSets(report, first))
      expect(await rowsOf(second, name, values)).toEqual(await rowsOf(first, name, values));
  });

  test('says how it is drawn, by columns that it has', async () => {
    const result = await runReport(singleShardWorld().setup.analyst, report, {}, OPTIONS);
    const columns = result.columns.map((column) => column.name);
    const { kind, x, y } = report.chart;
    expect(kind === 'none', name).toBe(x.length + y.length === 0);
    for (const column of [...x, ...y]) expect(columns).toContain(column);
  });

  test('leaves counting events to the shards', async () => {
    if (name === 'recipient-timeline') return;
    for (const values of parameterSets(report, singleShardWorld())) {
      const client = await singleShardWorld().setup.analyst.connect();
      const plan: string[] = [];
      try {
        await client.query('BEGIN');
        for (const { keyword, text } of fillIn(report, values).statements) {
          const explained = keyword === 'set' ? text : `EXPLAIN (VERBOSE) ${text}`;
          const { rows } = await client.query<{ 'QUERY PLAN': string }>(explained);
          plan.push(...rows.map((row) => row['QUERY PLAN']));
        }
        await client.query('ROLLBACK');
      } finally {
        client.release();
      }
      expect(plan.length).toBeGreaterThan(0);
      // Where the shard counts, only the counts are transferred.
      const reading = plan.filter((line) => !/Aggregate on \(fleet\.events|Remote SQL: SELECT (?:\w+, )*count\(.*GROUP BY/.test(line));
      expect(reading.join('\n')).not.toMatch(/fleet\.events|shard_analytics\.events/);
      // The query to each shard must also contain the filter by campaign.
      // The campaign of a goal is known only after its click was found. Who has unsubscribed does not depend on a campaign.
      const queries = plan.filter((line) => line.includes('Remote SQL: ') && !/shard_analytics\.(?:goals|unsubscribes)/.test(line));
      for (const query of values['campaign'] === undefined ? [] : queries)
        expect(query).toMatch(new RegExp(`campaign_id = '?${values['campaign']}\\b|link_id = ANY`));
    }
  });

  test(`gives the same through psql${PSQL === undefined ? ' (not tried: there is no psql on the PATH)' : ''}`, async ({ skip }) => {
    if (PSQL === undefined) skip('there is no psql on the PATH');
    const file = fileURLToPath(new URL(`../../reports/${name}.sql`, import.meta.url));
    for (const values of differentValues(report)) {
      const { rows } = await runReport(singleShardWorld().setup.analyst, report, values, OPTIONS);
      expect(await runPsql(setting(singleShardWorld().setup.system, 'ANALYST_URL'), file, values)).toEqual(
        rows.map((row) => row.map((value) => value ?? '')),
      );
    }
  });

  test('gives the same through the dashboard and the command', async () => {
    const { setup } = singleShardWorld();
    const app = createDesk({ ...OPTIONS, pool: setup.analyst, host: '127.0.0.1', refreshSeconds: 10, onError: () => {} });
    try {
      const first = JSON.stringify(periods(report)[0]);
      for (const values of differentValues(report)) {
        const result = await runReport(setup.analyst, report, values, OPTIONS);
        const rows = [result.columns.map((column) => column.name), ...result.rows.map((row) => row.map((value) => value ?? ''))];
        const answer = await app.inject({ url: `/report/${name}.csv?${new URLSearchParams(values).toString()}` });
        expect(parse(answer.body, { skip_empty_lines: false })).toEqual(rows);
        if (JSON.stringify(values) !== first) continue;
        const env = { ANALYST_URL: setting(setup.system, 'ANALYST_URL') };
        const flags = Object.entries(values).flatMap(([parameter, value]) => [`--${parameter}`, value]);
        expect(await clickledger(['report', name, '--format', 'csv', ...flags], { env })).toMatchObject({ code: 0, stdout: answer.body });
      }
    } finally {
      await app.close();
    }
  });
});

test('a file that is put beside the others is a report', async () => {
  const directory = await temporaryDirectory();
  await copyFile(new URL('../../reports/campaign-summary.sql', import.meta.url), join(directory, 'ours.sql'));
  await writeFile(
    join(directory, 'mine.sql'),
    '-- title: Mine\n-- question: How many campaigns are there?\n\nSELECT count(*) AS campaigns FROM analytics.campaigns;\n',
  );
  expect((await listReports(directory)).map(({ name }) => name)).toEqual(['mine', 'ours']);
  const { rows } = await runReport(singleShardWorld().setup.analyst, await readReport('mine', directory), {}, OPTIONS);
  expect(rows).toEqual([['2']]);
});
