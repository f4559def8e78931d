import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import { readRows } from './read-rows.ts';

/** The place of a tracked link in a part of a letter, in UTF-16 code units. */
export type LinkPlace = readonly [from: number, to: number, link: number];

export interface StoredLetter {
  /** A hash that names the letter. */
  letter: string;
  prepared_at: Date;
  html: string | null;
  text: string | null;
  html_links: LinkPlace[];
  text_links: LinkPlace[];
}

/** Lists the letters of a campaign without their texts, the latest first. */
export async function listLetters(
  pool: Pool,
  campaign: number,
  limits: RunOptions,
): Promise<(Pick<StoredLetter, 'letter' | 'prepared_at'> & { has_html: boolean; has_text: boolean })[]> {
  const sql = `SELECT letter, prepared_at, html IS NOT NULL AS has_html, text IS NOT NULL AS has_text FROM analytics.letters WHERE campaign_id = $1 ORDER BY prepared_at DESC, letter`;
  return readRows(pool, limits, sql, [campaign]);
}

/** Reads a letter of a campaign. Throws `not-found` if it does not exist. */
export async function readLetter(pool: Pool, campaign: number, letter: string, limits: RunOptions): Promise<StoredLetter> {
  const sql = `SELECT letter, prepared_at, html, text, html_links, text_links FROM analytics.letters WHERE campaign_id = $1 AND letter = $2`;
  const [found] = await readRows<StoredLetter>(pool, limits, sql, [campaign, letter]);
  if (found === undefined) throw new ClickledgerError('not-found', 'this letter is not stored any more: a campaign keeps its last five');
  return found;
}
