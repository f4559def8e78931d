import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import { withoutScheme } from '../../reporting/format/values.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import { readRows } from './read-rows.ts';

/** A link of a campaign with its clicks. */
export interface LinkFigures {
  link_id: number;
  campaign_id: number;
  position: number | null;
  label: string;
  target: string;
  disabled_at: Date | null;
  expires_at: Date | null;
  aliases: string[];
  hits: number;
  human_hits: number;
  recipients: number;
  human_recipients: number;
}

const LINKS = `
  SELECT l.link_id, l.campaign_id, l.position, l.label, coalesce(l.target, l.original) AS target, l.disabled_at, l.expires_at, l.aliases, coalesce(t.hits, 0) AS hits,
         coalesce(t.human_hits, 0) AS human_hits, coalesce(t.recipients, 0) AS recipients, coalesce(t.human_recipients, 0) AS human_recipients
  FROM analytics.links l
  LEFT JOIN (SELECT * FROM analytics.link_totals WHERE campaign_id = $1) t USING (campaign_id, link_id)
  WHERE l.campaign_id = $1 AND l.kind = 'url'`;

/** A page shows at most so many links. The report has all. */
export const MOST_LINKS = 200;

/** Reads the links of a campaign in the order of its letter. */
export async function readLinks(pool: Pool, campaign: number, limits: RunOptions): Promise<LinkFigures[]> {
  const sql = `${LINKS} ORDER BY l.position, l.link_id LIMIT ${MOST_LINKS}`;
  return readRows(pool, limits, sql, [campaign]);
}

/** Reads one link. Throws `not-found` if the campaign has no such link. */
export async function readLink(pool: Pool, campaign: number, link: number, limits: RunOptions): Promise<LinkFigures> {
  const [found] = await readRows<LinkFigures>(pool, limits, `${LINKS} AND l.link_id = $2`, [campaign, link]);
  if (found === undefined) throw new ClickledgerError('not-found', `campaign ${campaign} has no link ${link}`);
  return found;
}

/** The label that `prepare` gives to the links of the text part, if the HTML part has the same target. */
const TEXT_PART = 'text';

/** The name of a link for readers: its label, or its target without the scheme. */
export function nameOfLink({ label, target }: Pick<LinkFigures, 'label' | 'target'>): string {
  return label === TEXT_PART ? `${withoutScheme(target)} (text part)` : label || withoutScheme(target);
}
