import { createHash } from 'node:crypto';
import type { Pool } from '../core/postgres.ts';
import type { LetterPlan } from './letter/plan.ts';
import type { TrackedLetter } from './track-letter.ts';

// Stores a letter as it was prepared for a list, so that the desk can show it with its clicks. Letters that a program makes for one person are not
// stored: they may have personal data.

/** A campaign keeps so many different letters, e.g. those of a test with two versions. */
const MOST_LETTERS = 5;
/** A longer letter is not stored. Mail services cut off letters that are much shorter. */
const MAX_LENGTH = 2_000_000;

/** Stores a letter of a campaign, or marks it as the last one if it is stored. */
export async function keepLetter(pool: Pool, campaign: number, { plans, places, links }: TrackedLetter): Promise<void> {
  const linksOf = (plan: LetterPlan | undefined, indexes: readonly number[]): string =>
    JSON.stringify((plan?.tracked ?? []).map(({ from, to }, i) => [from, to, links[indexes[i] as number]?.id]));
  const [html, text] = [plans.html?.text, plans.text?.text];
  // Postgres stores no texts with a zero character.
  if ([html, text].some((part) => part !== undefined && (part.length > MAX_LENGTH || part.includes('\0')))) return;
  const hash = createHash('sha256')
    .update(JSON.stringify([html, text]))
    .digest();
  await pool.query(
    `INSERT INTO catalog.letter (campaign_id, hash, html, text, html_links, text_links) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (campaign_id, hash) DO UPDATE SET html_links = excluded.html_links, text_links = excluded.text_links, prepared_at = now()`,
    [campaign, hash, html, text, linksOf(plans.html, places.html), linksOf(plans.text, places.text)],
  );
  await pool.query(
    `DELETE FROM catalog.letter WHERE campaign_id = $1 AND hash NOT IN (SELECT hash FROM catalog.letter WHERE campaign_id = $1 ORDER BY prepared_at DESC LIMIT ${MOST_LETTERS})`,
    [campaign],
  );
}
