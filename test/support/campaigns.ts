import { type Databases } from './databases.ts';
import { appendDeltas } from './deltas.ts';

// Inserts campaigns and hits as authors and workers do, for tests that read them.

/** A name that must never be interpreted as markup, as SQL or as a separate table cell. */
export const HOSTILE = `<img src=x onerror=alert(1)> | "Sale" & 'more' ,;\\ </script>`;

const GEN = '11111111-1111-1111-1111-111111111111';

export interface Hits {
  campaign: number;
  link: number;
  kind: 'click' | 'open';
  /** The number of recipients with one hit each. The first `skip` recipients of the campaign have none. */
  people: number;
  skip?: number;
  verdict?: 'human' | 'privacy-proxy' | 'scanner-net' | 'bot-ua';
  at?: Date;
}

/** Creates a campaign with two links and a pixel, and records `people` recipients of its mailing. Returns the ids. */
export async function addCampaign(
  databases: Databases,
  name: string,
  people: number,
): Promise<{ campaign: number; links: number[]; pixel: number }> {
  const [row] = await databases.query<{ id: string }>(
    'catalog',
    `INSERT INTO catalog.campaign (name, created_at, sent_at) VALUES ($1, '2030-04-28 14:00+00', '2030-05-01 08:00+00') RETURNING id`,
    [name],
  );
  const campaign = Number(row?.id);
  const link = async (kind: 'url' | 'pixel', original: string): Promise<number> => {
    const [inserted] = await databases.query<{ id: string }>(
      'catalog',
      'INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, $2, $3) RETURNING id',
      [campaign, kind, original],
    );
    if (kind === 'url')
      await databases.query('catalog', 'INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, 1, $2)', [
        inserted?.id,
        original,
      ]);
    return Number(inserted?.id);
  };
  const links = [
    await link('url', 'https://shop.example/sale?from=letter&page=1'),
    await link('url', 'https://shop.example/a-very-long-address/that/goes/on/and/on/until-nobody-wants-to-read-it.html'),
  ];
  const pixel = await link('pixel', '');
  await databases.query(
    'catalog',
    `WITH person AS (INSERT INTO catalog.recipient (email) SELECT $2 || n || '@example.com' FROM generate_series(1, $3::int) n RETURNING id)
     INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT $1, id FROM person`,
    [campaign, `reader-${campaign}-`, people],
  );
  return { campaign, links, pixel };
}

/**
 * Inserts hits as a worker does. The hits belong to the first recipients of the campaign, which are distributed evenly over
 * the shards.
 */
export async function addHits(
  databases: Databases,
  { campaign, link, kind, people, skip = 0, verdict = 'human', at = new Date('2030-05-01T09:20:00Z') }: Hits,
): Promise<void> {
  const names = databases.shards.list.map(({ name }) => name);
  const rows = await databases.query<{ recipient_id: string }>(
    'catalog',
    'SELECT recipient_id FROM catalog.mailing WHERE campaign_id = $1 ORDER BY recipient_id LIMIT $2 OFFSET $3',
    [campaign, people, skip],
  );
  for (const [i, shard] of names.entries()) {
    const recipients = rows.map(({ recipient_id }) => recipient_id).filter((_, n) => n % names.length === i);
    await databases.query(
      shard,
      `WITH hit AS (SELECT $1::timestamptz + n * interval '7 minutes' AS at, recipient, n FROM unnest($2::bigint[]) WITH ORDINALITY AS t (recipient, n)),
            event AS (INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, rules, kind, verdict, country, signals)
                      SELECT at, n, '${GEN}', gen_random_uuid(), recipient, $3, $4, recipient, 0, 2, $5::shard.kind, $6::shard.verdict,
                             CASE WHEN n % 3 = 0 THEN 'DE' ELSE 'FR' END, CASE $6 WHEN 'human' THEN NULL ELSE ARRAY[$6::text] END FROM hit RETURNING *)
       ${appendDeltas('event')}`,
      [at, recipients, link, campaign, kind, verdict],
    );
  }
}

/** Adds a finished log of 1,000 bytes to the ledgers. On each shard, its last `missing` bytes are not committed. */
export async function addLog(databases: Databases, missing = 0): Promise<void> {
  for (const { name } of databases.shards.list)
    await databases.query(
      name,
      `INSERT INTO shard.ledger (gen, committed, size, first_at, last_at) VALUES ('${GEN}', int8multirange(int8range(0, $1)), 1000, '2030-05-01 08:00+00', '2030-05-01 12:34:56+00')
       ON CONFLICT (gen) DO UPDATE SET committed = excluded.committed`,
      [1000 - missing],
    );
}
