import { keepLetter } from '../../authoring/keep-letter.ts';
import { planParts, trackLetter } from '../../authoring/track-letter.ts';
import { createPool } from '../../core/postgres.ts';
import { BASE } from './authors.ts';
import { addCampaign, addHits, addLog, type Hits, HOSTILE } from './campaigns.ts';
import type { Databases } from './databases.ts';

// What an editor finds in the desk: a letter of this morning, older letters to compare it with, and names that are hard to show.

export type Added = Awaited<ReturnType<typeof addCampaign>>;

const HTML = `<!DOCTYPE html><html><head><meta charset="utf-8">
<style>body { font-family: Georgia, serif; margin: 0; background: #f4efe6 } .box { max-width: 34rem; margin: auto; background: #fff; padding: 2rem } .button { display: inline-block; background: #b85c00; color: #fff; padding: .7rem 1.4rem; text-decoration: none }</style></head>
<body><div class="box"><img src="https://images.example/head.png" alt="The shop in spring" width="480" height="90"><h1>Hello {{name}}, spring is here</h1>
<p>Tulips, hyacinths and 20 kinds of seed potatoes are <a href="https://shop.example/sale?from=letter&amp;page=1">in the spring sale</a> until Sunday.</p>
<p><a class="button" href='https://shop.example/a-very-long-address/that/goes/on/and/on/until-nobody-wants-to-read-it.html' target="_blank">To the offers</a></p>
<p>We are in the garden, so please write to us if you need anything.</p><p><a href="{{unsubscribe}}">Unsubscribe</a></p></div></body></html>`;
const TEXT = `Hello {{name}}, spring is here

Tulips and 20 kinds of seed potatoes: https://shop.example/sale?from=letter&page=1
All offers: https://shop.example/a-very-long-address/that/goes/on/and/on/until-nobody-wants-to-read-it.html

Unsubscribe: {{unsubscribe}}
`;

/** Stores a letter of a campaign, as `prepare` does. Its links are the two of `addCampaign`, and those of the text part. */
export async function addLetter(databases: Databases, campaign: number, html = HTML, text = TEXT): Promise<void> {
  const pool = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
  try {
    const plans = planParts(
      { html: Buffer.from(html), text: Buffer.from(text) },
      { baseUrls: [BASE], exclude: [], trackUnsubscribe: false, utm: {}, pixel: 'bottom' },
    );
    await keepLetter(pool, campaign, await trackLetter({ pool, baseUrl: BASE, keys: databases.keys }, campaign, plans));
  } finally {
    await pool.end();
  }
}

/** Lets the first `people` recipients of a campaign unsubscribe. */
async function addUnsubscribes(databases: Databases, campaign: number, people: number): Promise<void> {
  const rows = await databases.query<{ id: string }>(
    'catalog',
    'SELECT recipient_id AS id FROM catalog.mailing WHERE campaign_id = $1 ORDER BY recipient_id LIMIT $2',
    [campaign, people],
  );
  await databases.query(
    databases.shards.list[0]?.name ?? '',
    `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
     SELECT '2030-05-01 18:00+00', 1000000 + n, gen_random_uuid(), gen_random_uuid(), id, 1, $2 FROM unnest($1::bigint[]) WITH ORDINALITY AS t (id, n)`,
    [rows.map(({ id }) => id), campaign],
  );
}

/** Adds hits on a letter of 400 recipients, as they come in its first hours and days. */
async function addHitsOf(databases: Databases, { campaign, links, pixel }: Added, day: string): Promise<void> {
  const add = (kind: Hits['kind'], link: number | undefined, time: string, people: number, more: Partial<Hits> = {}): Promise<void> =>
    addHits(databases, { campaign, link: link ?? 0, kind, people, at: new Date(`${day}T${time}:00Z`), ...more });
  await add('open', pixel, '08:20', 210);
  await add('open', pixel, '08:00', 90, { skip: 170, verdict: 'privacy-proxy' });
  await add('click', links[0], '08:30', 80);
  await add('click', links[1], '10:30', 30);
  await add('click', links[1], '08:02', 45, { skip: 60, verdict: 'scanner-net' });
}

/** Adds the letter of this morning, with its text and its clicks. */
async function addSpringSale(databases: Databases): Promise<Added> {
  const spring = await addCampaign(databases, 'Spring sale', 400);
  await addLetter(databases, spring.campaign);
  await addHitsOf(databases, spring, '2030-05-01');
  await addUnsubscribes(databases, spring.campaign, 6);
  await addLog(databases);
  return spring;
}

const sentWeeksBefore = (databases: Databases, { campaign }: Added, weeks: number): Promise<unknown> =>
  databases.query(
    'catalog',
    `UPDATE catalog.campaign SET sent_at = timestamptz '2030-05-01 08:00+00' - $2 * interval '7 days' WHERE id = $1`,
    [campaign, weeks],
  );

/** Adds names that are hard to show, many older campaigns, and the letter of this morning. Returns the latter. */
export async function addDeskData(databases: Databases, older: number): Promise<Added> {
  for (let i = older; i > 0; i--) {
    const each = await addCampaign(databases, `Letter ${String(i).padStart(3, '0')}`, 40 + (i % 7) * 10);
    await sentWeeksBefore(databases, each, i);
    if (i > 12) continue;
    await addHits(databases, { campaign: each.campaign, link: each.pixel, kind: 'open', people: 15 + (i % 5) * 4 });
    await addHits(databases, { campaign: each.campaign, link: each.links[0] as number, kind: 'click', people: 4 + (i % 3) * 2 });
  }
  await addCampaign(databases, HOSTILE, 3);
  await addCampaign(databases, 'Welcome', 120);
  return addSpringSale(databases);
}

const EARLIER = [
  'Seeds are here',
  'Garden tips 12',
  'Early potatoes',
  'Garden tips 11',
  'Open day',
  'Garden tips 10',
  'A look back',
  'Winter sale',
];

/** Adds what the pictures of the documentation show. Returns the letter of this morning. */
export async function addPictureData(databases: Databases): Promise<Added> {
  for (const [i, name] of EARLIER.toReversed().entries()) {
    const each = await addCampaign(databases, name, 360 + i * 5);
    const weeks = EARLIER.length - i;
    await sentWeeksBefore(databases, each, weeks);
    const at = (days: number): Date => new Date(Date.UTC(2030, 4, 1 - 7 * weeks + days, 8, 30));
    for (const [days, share] of [0.31, 0.1, 0.05, 0.02, 0.03, 0.01].entries()) {
      const wave = 1 + ((i * 7 + days * 3) % 5) / 8;
      const people = Math.round(360 * share * wave);
      const add = (kind: Hits['kind'], link: number, some: number): Promise<void> =>
        addHits(databases, { campaign: each.campaign, link, kind, people: some, skip: days * 45, at: at(days) });
      await add('open', each.pixel, people);
      await add('click', each.links[0] as number, Math.round(people / 4));
    }
    await addHits(databases, {
      campaign: each.campaign,
      link: each.pixel,
      kind: 'open',
      people: 30 + i * 9,
      verdict: 'privacy-proxy',
      at: at(0),
    });
    await addUnsubscribes(databases, each.campaign, 1 + (i % 4));
  }
  return addSpringSale(databases);
}
