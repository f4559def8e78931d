import { explainErrors, type Pool } from '../core/postgres.ts';
import { findCampaign } from '../reporting/parameters.ts';
import { readOnly, type RunOptions } from '../reporting/run-report.ts';

/** The lists show at most this many campaigns and leave out the oldest. A campaign that is not listed still has its page. */
const MAX_CAMPAIGNS = 500;

export interface Campaign {
  campaign_id: number;
  name: string;
  created_at: Date;
  sent_at: Date | null;
  closed_at: Date | null;
  prepared_for: number;
}

export interface CampaignCounts extends Campaign {
  human_opens: number;
  human_clicks: number;
  hits: number;
  human_hits: number;
}

/** Lists campaigns with their counts, the latest first. */
export async function listCampaigns(pool: Pool, limits: RunOptions): Promise<CampaignCounts[]> {
  const sql = `
    SELECT c.campaign_id, c.name, c.created_at, c.sent_at, c.closed_at, c.prepared_for,
           coalesce(t.human_opens, 0) AS human_opens, coalesce(t.human_clicks, 0) AS human_clicks, coalesce(t.hits, 0) AS hits,
           coalesce(t.human_opens, 0) + coalesce(t.human_clicks, 0) AS human_hits
    FROM (SELECT * FROM analytics.campaigns ORDER BY coalesce(sent_at, created_at) DESC, campaign_id DESC LIMIT ${MAX_CAMPAIGNS}) AS c
    LEFT JOIN (SELECT campaign_id, sum(hits)::bigint AS hits, sum(human_hits) FILTER (WHERE kind = 'open')::bigint AS human_opens,
                      sum(human_hits) FILTER (WHERE kind = 'click')::bigint AS human_clicks
               FROM analytics.campaign_totals GROUP BY campaign_id) AS t USING (campaign_id)
    ORDER BY coalesce(c.sent_at, c.created_at) DESC, c.campaign_id DESC`;
  return explainErrors(() => readOnly(pool, limits, async (client) => (await client.query<CampaignCounts>(sql)).rows));
}

/** Lists the numbers and names of campaigns, the latest first. */
export async function listCampaignNames(pool: Pool, limits: RunOptions): Promise<Pick<Campaign, 'campaign_id' | 'name'>[]> {
  const sql = `SELECT campaign_id, name FROM analytics.campaigns ORDER BY coalesce(sent_at, created_at) DESC, campaign_id DESC LIMIT ${MAX_CAMPAIGNS}`;
  return explainErrors(() => readOnly(pool, limits, async (client) => (await client.query<Campaign>(sql)).rows));
}

/** Finds a campaign by its number or its name. Throws `not-found` if it does not exist. */
export async function readCampaign(pool: Pool, numberOrName: string, limits: RunOptions): Promise<Campaign> {
  const sql = 'SELECT campaign_id, name, created_at, sent_at, closed_at, prepared_for FROM analytics.campaigns WHERE campaign_id = $1';
  return explainErrors(() =>
    readOnly(pool, limits, async (client) => {
      const { campaign_id } = await findCampaign(client, numberOrName);
      return (await client.query<Campaign>(sql, [campaign_id])).rows[0] as Campaign;
    }),
  );
}
