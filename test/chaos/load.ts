import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { ensureSite } from '../../authoring/sites.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import type { System } from '../../stack/system.ts';
import type { Issued } from '../support/judge.ts';
import { type Address, rawRequest } from '../support/raw-http.ts';
import type { Random } from './random.ts';

// Simulates recipients until the run ends: about a hundred hits of all kinds per second, with a limit on the number of requests in flight.

export interface Campaign {
  issued: Map<string, Issued>;
  clicks: { path: string; target: string }[];
  opens: string[];
  unsubscribes: string[];
  /** The path to which the site sends visits and goals. */
  site: string;
}

export interface Outages {
  redirects: number;
  /** Failed redirects of known links while no fault touched the nginx that answered. */
  failed: { at: number; edge: number; what: string }[];
  /** The number of redirects that failed while a fault touched their nginx. They are expected to fail. */
  excused: number;
  longestOutageMs: number;
}

export async function makeCampaign(system: Pick<System, 'env'>): Promise<Campaign> {
  const pool = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'chaos' });
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  const urls = createUrls('', slugs);
  const campaign: Campaign = { issued: new Map(), clicks: [], opens: [], unsubscribes: [], site: '' };
  const { id } = await ensureCampaign(pool, 'chaos');
  const pixel = await ensureLink(pool, id, { kind: 'pixel' });
  const unsubscribe = await ensureLink(pool, id, { kind: 'unsubscribe' });
  const site = await ensureSite(pool, 'shop.example');
  campaign.site = urls.site(site.id);
  campaign.issued.set(campaign.site.slice(3), { link: site.id, recipient: 0, site: true });
  const recipients = [0];
  for (let i = 0; i < 60; i++) recipients.push(await ensureRecipient(pool, `person${i}@example.com`));
  for (let i = 0; i < 5; i++) {
    const target = `https://www.example.com/${i}?a=%20&b=ü`;
    const link = await ensureLink(pool, id, { kind: 'url', target });
    await ensureAlias(pool, `alias-${i}`, link);
    campaign.clicks.push({ path: urls.alias(`alias-${i}`), target });
    for (const recipient of recipients) {
      campaign.issued.set(slugs.encode({ link, recipient }), { link, recipient });
      campaign.clicks.push({ path: urls.click(link, recipient), target });
    }
  }
  for (const recipient of recipients) {
    campaign.issued.set(slugs.encode({ link: pixel, recipient }), { link: pixel, recipient });
    campaign.opens.push(urls.pixel(pixel, recipient));
    campaign.issued.set(slugs.encode({ link: unsubscribe, recipient }), { link: unsubscribe, recipient, unsubscribes: true });
    campaign.unsubscribes.push(urls.unsubscribe(unsubscribe, recipient));
  }
  await pool.end();
  return campaign;
}

const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Googlebot/2.1 (+http://www.google.com/bot.html)',
  Buffer.from([0x4d, 0xff, 0xc3, 0x28, 0x5c, 0x2e]),
  `long ${'y'.repeat(3000)}`,
];

/** The limit of requests in flight of each edge. */
const MAX_IN_FLIGHT = 100;

/**
 * Starts the load. `excused` returns whether a fault touches the nginx of an edge, or did so at any time since `sinceMs` (of
 * `performance.now()`).
 */
export function startLoad(options: {
  edges: readonly Address[];
  campaign: Campaign;
  random: Random;
  perSecond: number;
  excused: (edge: number, sinceMs: number) => boolean;
}): {
  outages: Outages;
  stop: () => Promise<void>;
} {
  const { edges, campaign, random, perSecond, excused } = options;
  const outages: Outages = { redirects: 0, failed: [], excused: 0, longestOutageMs: 0 };
  const failingSince = edges.map((): number | undefined => undefined);
  const inFlight = edges.map(() => new Set<Promise<void>>());
  let n = 0;

  async function sendHit(edge: number): Promise<void> {
    const address = edges[edge] as Address;
    const headers = {
      'X-Forwarded-For': `${1 + (n % 200)}.${(n >> 8) % 256}.${n % 256}.9`,
      'User-Agent': AGENTS[n++ % AGENTS.length] as string | Buffer,
    };
    const kind = random.whole(0, 24);
    if (kind < 12) await click(edge, address, headers);
    else if (kind < 18) await rawRequest(address, kind === 17 ? 'HEAD' : 'GET', random.pick(campaign.opens), headers).catch(() => {});
    else if (kind === 18) await rawRequest(address, 'GET', `/r/0${n % 10}forgedForgedForge.gif`, headers).catch(() => {});
    else if (kind === 19) await rawRequest(address, 'POST', random.pick(campaign.clicks).path, headers).catch(() => {});
    else if (kind < 22) await unsubscribe(kind === 20, address, headers);
    else await visitOrGoal(address, headers);
  }

  /** Sends a visit or a goal. Some name a click, some a tab, some a forged click or site, and some have no name. */
  async function visitOrGoal(address: Address, headers: Record<string, string | Buffer>): Promise<void> {
    const slug = random.pick(campaign.clicks).path.slice(3);
    const click = random.pick(['', slug.includes('-') ? '' : `&c=${slug}`, `&c=0${n % 10}forgedForgedForge`]);
    const query = `n=${random.pick(['visit', 'buy', 'sign+up', ''])}&v=1.5&k=EUR&x.a=%C3%BC${click}${random.pick(['', `&s=${n.toString(36)}`])}`;
    const path = random.whole(0, 9) === 0 ? `/e/0${n % 10}forgedForgedForge` : campaign.site;
    await rawRequest(address, random.pick(['GET', 'POST']), `${path}?${query}`, headers).catch(() => {});
  }

  /** Sends the request of a mail program, or those of a scanner, which unsubscribe nobody. */
  async function unsubscribe(isReal: boolean, address: Address, headers: Record<string, string | Buffer>): Promise<void> {
    const path = random.pick(campaign.unsubscribes);
    const form = { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' };
    if (isReal) await rawRequest(address, 'POST', path, form, 'List-Unsubscribe=One-Click').catch(() => {});
    else for (const method of ['GET', 'POST']) await rawRequest(address, method, path, form).catch(() => {});
  }

  async function click(edge: number, address: Address, headers: Record<string, string | Buffer>): Promise<void> {
    const { path, target } = random.pick(campaign.clicks);
    const startedMs = performance.now();
    const excusedBefore = excused(edge, startedMs);
    outages.redirects++;
    const answer = await rawRequest(address, 'GET', path, headers).catch((error: unknown) => String(error));
    const ok =
      typeof answer !== 'string' &&
      answer.status === 302 &&
      Buffer.from(answer.headers.get('location') ?? '', 'latin1').toString() === target;
    if (ok) {
      const since = failingSince[edge];
      if (since !== undefined) outages.longestOutageMs = Math.max(outages.longestOutageMs, startedMs - since);
      failingSince[edge] = undefined;
      return;
    }
    failingSince[edge] ??= startedMs;
    if (excusedBefore || excused(edge, startedMs)) outages.excused++;
    else outages.failed.push({ at: Date.now(), edge, what: typeof answer === 'string' ? answer : `status ${answer.status}` });
  }

  const timer = setInterval(() => {
    for (let i = 0; i < perSecond / 20; i++) {
      const edge = random.whole(0, edges.length - 1);
      // An edge that does not answer must not take the requests of the others.
      const pending = inFlight[edge] as Set<Promise<void>>;
      if (pending.size > MAX_IN_FLIGHT) continue;
      const done = sendHit(edge).finally(() => pending.delete(done));
      pending.add(done);
    }
  }, 50);
  return {
    outages,
    async stop() {
      clearInterval(timer);
      await Promise.all(inFlight.flatMap((pending) => [...pending]));
    },
  };
}
