import { createRandom } from '../chaos/random.ts';
import { logLine } from '../support/log-lines.ts';
import { between, chance } from './chance.ts';
import { MINUTE, SECOND } from './figures.ts';
import type { Hit, Who } from './hits.ts';
import { browser } from './user-agents.ts';

// Generates what happens after the clicks of a letter, with known truth: visits by the script of the author's site, goals, and requests to
// unsubscribe. The shares are assumed.

export interface SiteHit {
  /** Epoch milliseconds. */
  t: number;
  kind: 'visit' | 'goal' | 'unsubscribe';
  who: Who;
  /** The click that it names, by its recipient and link. Undefined for a reader who came without a click. */
  click: Pick<Hit, 'recipient' | 'link'> | undefined;
  ip: string;
  ua: string;
  session: string;
  page: string;
  value: string | undefined;
}

/** The share of people whose browser runs the script: the others block it, or ask not to be tracked. */
const RUN_SCRIPT = 0.8;
/** The share of clicks of machines whose browser runs the script, as a sandbox does. */
const SANDBOX = 0.05;
const STRANGERS = 300;
const PAGES = ['/', '/sale', '/about', '/cart'] as const;

/** Generates what follows these hits, in the order of time. */
export function generateVisits(hits: readonly Hit[], seed: number): SiteHit[] {
  const random = createRandom(seed);
  const made: SiteHit[] = [];
  const newSession = (): string => random.whole(1, 2 ** 50).toString(36);
  const add = (hit: Omit<SiteHit, 'value' | 'page'> & Partial<SiteHit>): void => {
    made.push({ page: random.pick(PAGES), value: undefined, ...hit });
  };
  for (const { t, kind, recipient, link, ip, ua, truth } of hits) {
    if (kind !== 'click') continue;
    const { who } = truth;
    if (who === 'person' && chance(random, 0.01))
      add({ t: t + MINUTE, kind: 'unsubscribe', who, click: { recipient, link }, ip, ua, session: '' });
    if (!chance(random, who === 'person' ? RUN_SCRIPT : SANDBOX)) continue;
    const tab = { who, click: { recipient, link }, ip, ua, session: newSession() };
    let at = t + between(random, [SECOND / 2, 8 * SECOND]);
    add({ ...tab, kind: 'visit', t: at });
    if (who === 'machine') continue;
    if (chance(random, 0.3)) add({ ...tab, kind: 'visit', t: (at += between(random, [10 * SECOND, 2 * MINUTE])) });
    if (chance(random, 0.1))
      add({ ...tab, kind: 'goal', t: at + between(random, [20 * SECOND, 20 * MINUTE]), value: String(random.whole(1, 500) / 4) });
  }
  const times = hits.map(({ t }) => t);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  for (let i = 0; i < STRANGERS; i++) {
    const ip = `198.51.100.${random.whole(1, 254)}`;
    const tab = { who: 'person' as const, click: undefined, ip, ua: browser(random, 'pc', false), session: newSession() };
    const t = between(random, [first, last]);
    add({ ...tab, kind: 'visit', t });
    if (chance(random, 0.1)) add({ ...tab, kind: 'goal', t: t + MINUTE, value: '3' });
  }
  return made.map((hit) => ({ ...hit, t: Math.round(hit.t) })).toSorted((a, b) => a.t - b.t);
}

/** Returns the line that nginx would write. `paths` returns the id of the site, and the slugs of a click and of a link for unsubscribing. */
export function siteLine(hit: SiteHit, paths: { site: string; click: string; unsubscribe: string }, rid: string): string {
  const { t, kind, click, ip, ua, session, page, value } = hit;
  const common = { rid, t: t / 1000, m: 'POST', ip, ua, link: '' };
  if (kind === 'unsubscribe') return logLine({ ...common, u: `/o/${paths.unsubscribe}`, s: 200 });
  const query = new URLSearchParams({ n: kind === 'visit' ? 'visit' : 'order', s: session, u: `https://shop.example${page}?secret=1` });
  if (click) query.set('c', paths.click);
  if (value !== undefined) query.set('v', value);
  if (value !== undefined) query.set('k', 'EUR');
  return logLine({ ...common, u: `/e/${paths.site}`, s: 204, q: query.toString() });
}
