import type { Pool } from '../../core/postgres.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import type { Rates } from './campaigns.ts';
import { readRows } from './read-rows.ts';
import type { SlowCounts } from './slow-counts.ts';

// A segment is a group of recipients of one campaign, e.g. those who clicked. This file counts the segments. The report `segment` lists their
// recipients.

export const SEGMENTS = {
  opened: 'Opened',
  clicked: 'Clicked',
  'opened-not-clicked': 'Opened, not clicked',
  'not-opened': 'Not opened',
  unsubscribed: 'Unsubscribed',
  'machines-only': 'Only machines',
} as const;
export type Segment = keyof typeof SEGMENTS;
export const SEGMENT_NAMES = Object.keys(SEGMENTS) as Segment[];

/** What each group means. */
export const DEFINITIONS: Readonly<Record<Segment, string>> = {
  opened: 'A person opened the letter, or clicked.',
  clicked: 'A person clicked a link at least once.',
  'opened-not-clicked': 'A person opened the letter, and no person clicked.',
  'not-opened': 'The letter was prepared for them, with tracking, and no person opened it.',
  unsubscribed: 'They unsubscribed by a link of this letter.',
  'machines-only': 'All opens and clicks came from machines or are unsure.',
};

/** Counts each group. The count of those who have not opened reads all of them, so it may be undefined at first. */
export async function countSegments(
  pool: Pool,
  campaign: number,
  rates: Rates,
  limits: RunOptions,
  slowCounts: SlowCounts,
): Promise<Record<Segment, number | undefined>> {
  // Those who opened and were not prepared for are not among those who have not opened.
  const sql = `
    SELECT count(*) AS count FROM analytics.mailings m
    LEFT JOIN (SELECT DISTINCT recipient_id FROM analytics.people WHERE campaign_id = $1 AND link_id IS NULL) p USING (recipient_id)
    WHERE m.campaign_id = $1 AND m.is_tracked AND p.recipient_id IS NULL`;
  const notOpened = await slowCounts.read(`not-opened ${campaign}`, async () => {
    const [row] = await readRows<{ count: number }>(pool, limits, sql, [campaign]);
    return row?.count ?? 0;
  });
  return { ...knownCounts(rates), 'not-opened': notOpened };
}

/** The counts that follow from the figures of a campaign. */
export const knownCounts = (rates: Rates): Record<Exclude<Segment, 'not-opened'>, number> & { 'not-opened'?: undefined } => ({
  opened: rates.human_opened,
  clicked: rates.human_clicked,
  'opened-not-clicked': rates.human_opened - rates.human_clicked,
  unsubscribed: rates.unsubscribed,
  'machines-only': rates.opened - rates.human_opened,
});
