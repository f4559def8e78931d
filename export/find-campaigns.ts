import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';

/** Returns the numbers of campaigns that were given by name or number. A name takes precedence. Throws `not-found`. */
export async function findCampaigns(catalog: Pool, names: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const name of names) {
    const { rows } = await catalog.query<{ id: number }>(
      'SELECT campaign_id AS id FROM analytics.campaigns WHERE name = $1 OR campaign_id::text = $1 ORDER BY (name = $1) DESC LIMIT 1',
      [name],
    );
    if (rows[0] === undefined)
      throw new ClickledgerError('not-found', `campaign '${name}' does not exist: \`clickledger campaign list\` shows all`);
    ids.push(rows[0].id);
  }
  return ids;
}
