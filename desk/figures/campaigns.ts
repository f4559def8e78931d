import { explainErrors, type Pool, type PoolClient } from '../../core/postgres.ts';
import { findCampaign } from '../../reporting/parameters.ts';
import { readOnly, type RunOptions } from '../../reporting/run-report.ts';
import { readRows } from './read-rows.ts';

// Reads campaigns and their figures. All rates come from analytics.campaign_rates, as in the reports.

/** Lists of names show at most this many campaigns and leave out the oldest. A campaign that is not listed still has its page. */
const MAX_NAMES = 500;
/** The overview shows so many campaigns at a time. */
export const PAGE_ROWS = 50;
/** The sparkline of a campaign has its first days. */
export const SPARK_DAYS = 14;
/** A campaign is compared with the median of so many campaigns before it. */
const COMPARED_WITH = 25;

export interface Campaign {
  campaign_id: number;
  name: string;
  created_at: Date;
  sent_at: Date | null;
  closed_at: Date | null;
}

/** The counts and rates of a campaign. People are recipients with a hit judged human. Rates are percentages, null without recipients. */
export interface Rates {
  campaign_id: number;
  prepared_for: number;
  opens: number;
  human_opens: number;
  clicks: number;
  human_clicks: number;
  opened: number;
  human_opened: number;
  clicked: number;
  human_clicked: number;
  open_percent: number | null;
  human_open_percent: number | null;
  click_percent: number | null;
  human_click_percent: number | null;
  click_to_open_percent: number | null;
  human_click_to_open_percent: number | null;
  /** The number of recipients who unsubscribed by a link of this campaign. */
  unsubscribed: number;
}

export interface OverviewRow extends Campaign {
  rates: Rates;
  /** Hits judged human on the first days, beginning with the day of the first hit. */
  days: number[];
}

/** The orders of the overview, with the sort key of each in SQL. */
const SORTS = {
  newest: 'coalesce(c.sent_at, c.created_at) DESC',
  name: 'lower(c.name)',
  opened: 'r.human_open_percent DESC NULLS LAST',
  clicked: 'r.human_click_percent DESC NULLS LAST',
  machines: '1 - (r.human_opens + r.human_clicks)::float8 / nullif(r.opens + r.clicks, 0) DESC NULLS LAST',
} as const;
export type Sort = keyof typeof SORTS;
export const SORT_NAMES = Object.keys(SORTS) as Sort[];

const COLUMNS = 'c.campaign_id, c.name, c.created_at, c.sent_at, c.closed_at';

/** Lists one page of campaigns whose names contain `search`, with their figures. `total` is the number of all such campaigns. */
export async function listCampaigns(
  pool: Pool,
  { search, sort, page }: { search: string; sort: Sort; page: number },
  limits: RunOptions,
): Promise<{ rows: OverviewRow[]; total: number }> {
  return explainErrors(() =>
    readOnly(pool, limits, async (client) => {
      const matches = `strpos(lower(c.name), lower($1)) > 0`;
      // The rates of all campaigns are computed only to sort by them.
      const rates = SORTS[sort].includes('r.') ? 'JOIN analytics.campaign_rates r USING (campaign_id)' : '';
      const { rows } = await client.query<Campaign & { total: number }>(
        `SELECT ${COLUMNS}, count(*) OVER () AS total FROM analytics.campaigns c ${rates} WHERE ${matches}
         ORDER BY ${SORTS[sort]}, c.campaign_id DESC LIMIT ${PAGE_ROWS} OFFSET $2`,
        [search, (page - 1) * PAGE_ROWS],
      );
      const ids = rows.map(({ campaign_id }) => campaign_id);
      const found = await ratesOf(client, ids);
      const days = await readDays(client, ids);
      return {
        total: rows[0]?.total ?? 0,
        rows: rows.map((row) => ({
          ...row,
          rates: found.get(row.campaign_id) as Rates,
          days: days.get(row.campaign_id) ?? [],
        })),
      };
    }),
  );
}

/** Reads the figures of one campaign. */
export async function readRates(pool: Pool, campaign: number, limits: RunOptions): Promise<Rates> {
  const rates = await explainErrors(() => readOnly(pool, limits, (client) => ratesOf(client, [campaign])));
  return rates.get(campaign) as Rates;
}

/** Reads the figures of campaigns, by their numbers. */
async function ratesOf(client: PoolClient, ids: readonly number[]): Promise<Map<number, Rates>> {
  const { rows } = await client.query<Rates>(
    `SELECT r.*, coalesce(u.unsubscribed, 0) AS unsubscribed FROM analytics.campaign_rates r
     LEFT JOIN (SELECT campaign_id, count(DISTINCT recipient_id) AS unsubscribed FROM analytics.unsubscribes WHERE campaign_id = ANY ($1) GROUP BY campaign_id) u USING (campaign_id)
     WHERE r.campaign_id = ANY ($1)`,
    [ids],
  );
  return new Map(rows.map((row) => [row.campaign_id, row]));
}

async function readDays(client: PoolClient, ids: readonly number[]): Promise<Map<number, number[]>> {
  const { rows } = await client.query<{ campaign_id: number; place: number; hits: number }>(
    `SELECT campaign_id, day - first AS place, hits FROM (
       SELECT campaign_id, day, sum(human_hits)::bigint AS hits, min(day) OVER (PARTITION BY campaign_id) AS first
       FROM analytics.hits_by_day WHERE campaign_id = ANY ($1) GROUP BY campaign_id, day) AS each
     WHERE day - first < ${SPARK_DAYS}`,
    [ids],
  );
  const days = new Map<number, number[]>();
  for (const { campaign_id, place, hits } of rows) {
    const list = days.get(campaign_id) ?? new Array<number>(SPARK_DAYS).fill(0);
    list[place] = hits;
    days.set(campaign_id, list);
  }
  return days;
}

/** Lists the numbers and names of campaigns, the latest first. */
export async function listCampaignNames(pool: Pool, limits: RunOptions): Promise<Pick<Campaign, 'campaign_id' | 'name'>[]> {
  const sql = `SELECT campaign_id, name FROM analytics.campaigns ORDER BY coalesce(sent_at, created_at) DESC, campaign_id DESC LIMIT ${MAX_NAMES}`;
  return readRows(pool, limits, sql);
}

/** Finds a campaign by its number or its name. Throws `not-found` if it does not exist. */
export async function readCampaign(pool: Pool, numberOrName: string, limits: RunOptions): Promise<Campaign> {
  return explainErrors(() =>
    readOnly(pool, limits, async (client) => {
      const { campaign_id } = await findCampaign(client, numberOrName);
      const sql = `SELECT ${COLUMNS} FROM analytics.campaigns c WHERE campaign_id = $1`;
      return (await client.query<Campaign>(sql, [campaign_id])).rows[0] as Campaign;
    }),
  );
}

/** The figures of a campaign, and those that they are compared with. */
export interface Headline {
  rates: Rates;
  /** The campaign before this one. Undefined if there is none. */
  before: { name: string; rates: Rates } | undefined;
  /** The figures of the campaigns before this one, the latest first. */
  earlier: readonly Rates[];
}

/** Reads the figures of a campaign and of the campaigns before it. */
export async function readHeadline(pool: Pool, { campaign_id, sent_at, created_at }: Campaign, limits: RunOptions): Promise<Headline> {
  return explainErrors(() =>
    readOnly(pool, limits, async (client) => {
      const { rows } = await client.query<{ campaign_id: number; name: string }>(
        `SELECT campaign_id, name FROM analytics.campaigns WHERE sent_at IS NOT NULL AND (sent_at, campaign_id) < ($1, $2)
         ORDER BY sent_at DESC, campaign_id DESC LIMIT ${COMPARED_WITH}`,
        [sent_at ?? created_at, campaign_id],
      );
      const rates = await ratesOf(client, [campaign_id, ...rows.map((row) => row.campaign_id)]);
      // A letter without any hit was probably never sent.
      const earlier = rows.map((row) => rates.get(row.campaign_id)).filter((each) => each !== undefined && each.opened > 0) as Rates[];
      const [last] = rows;
      const lastRates = last && rates.get(last.campaign_id);
      return {
        rates: rates.get(campaign_id) as Rates,
        before: last && lastRates && { name: last.name, rates: lastRates },
        earlier,
      };
    }),
  );
}
