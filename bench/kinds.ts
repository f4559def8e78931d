import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { SLUG_KEYS, slugIds } from './fixture.ts';
import { type BenchSystem, committedBytes, isJudged, pidsOf, waitUntil, withBenchSystem } from './system.ts';

// Measures what visits, goals and unsubscribes cost compared with clicks. For each kind, a log of these events goes through the agent, NATS, the
// worker and the judge. The cost is the CPU time of all parts. Every visit and goal names a click that is stored.

const LINES = 200_000;
const ROUNDS = 2;
/** A number that no link has. */
const SITE = 5_000_000;
/** An event of another kind may cost 1.3 times as much as a click. */
const TARGET = { ratio: 1 / 1.3 };
const KINDS = ['click', 'visit', 'goal', 'unsubscribe'] as const;
type Kind = (typeof KINDS)[number];
const TABLES: Record<Kind, string> = {
  click: 'shard.event',
  visit: `shard.site_event WHERE kind = 'visit'`,
  goal: `shard.site_event WHERE kind = 'goal'`,
  unsubscribe: 'shard.unsubscribe',
};

export const kindsBench: Bench = async ({ directory, progress }) =>
  withBenchSystem({ directory, members: ['postgres', 'nats', 'event-worker-1', 'log-agent-1'] }, async (benchSystem): Promise<Figure[]> => {
    const [link] = await benchSystem.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'unsubscribe', '') RETURNING id::int`,
    );
    const seconds: Record<Kind, number> = { click: 0, visit: 0, goal: 0, unsubscribe: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      for (const kind of KINDS) {
        const lines = linesOf(kind, round, link?.id as number);
        const spent = await cpuOf(benchSystem, directory, `${kind}-${round}`, lines);
        progress(`   round ${round + 1}: ${kind}: ${((spent / LINES) * 1e6).toFixed(1)} µs`);
        // The first round warms up.
        if (round > 0) seconds[kind] += spent;
      }
    }
    for (const kind of KINDS) {
      const [row] = await benchSystem.query<{ n: number }>('a', `SELECT count(*)::int AS n FROM ${TABLES[kind]}`);
      expectEqual(`${kind}s`, row?.n ?? 0, LINES * ROUNDS);
    }
    const rateOf = (kind: Kind): number => ((ROUNDS - 1) * LINES) / seconds[kind];
    const bare = { what: 'clicks', value: rateOf('click') };
    return KINDS.slice(1).map((kind) => ({
      what: `${kind}s for a second of CPU`,
      unit: 'events',
      ours: rateOf(kind),
      bare,
      target: TARGET,
    }));
  });

/** Returns the lines of a log. Each round has other request ids, so that its logs are other generations. */
function linesOf(kind: Kind, round: number, unsubscribe: number): string {
  const codec = createSlugCodec(parseSlugKeys(SLUG_KEYS));
  const site = codec.encode({ link: SITE, recipient: 0 });
  const startS = Date.now() / 1000 - 300;
  return slugIds(LINES)
    .map((ids, i) => {
      const slug = codec.encode(kind === 'unsubscribe' ? { ...ids, link: unsubscribe } : ids);
      const rid = `${KINDS.indexOf(kind)}${round}${i.toString(16).padStart(30, '0')}`;
      const query = `n=${kind === 'visit' ? 'visit' : 'order&v=49.90&k=EUR'}&s=${i.toString(36)}&c=${slug}&u=https%3A%2F%2Fshop.example%2Fsale`;
      const [path, status, q] =
        kind === 'click' ? [`/u/${slug}`, 302, ''] : kind === 'unsubscribe' ? [`/o/${slug}`, 200, ''] : [`/e/${site}`, 204, query];
      return (
        `{"v":2,"rid":"${rid}","t":${(startS + i * 0.001).toFixed(3)},"m":"POST","u":"${path}","s":${status},` +
        `"ip":"${addressOf(ids.recipient)}",` +
        `"ua":"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0","ref":"","purpose":"   ",` +
        `"link":"${kind === 'click' ? `${ids.link}.1` : ''}","q":"${q}","h":"t.example.org","x":""}\n`
      );
    })
    .join('');
}

/**
 * One recipient in twenty is behind a hosting provider, so that a visit changes the verdict of the click. The others are at an access provider. Such a
 * change costs several times as much as a click.
 */
const addressOf = (recipient: number): string =>
  recipient % 20 === 0
    ? `5.9.${(recipient * 31) % 256}.${recipient % 256}`
    : `84.${128 + (recipient % 64)}.${(recipient * 31) % 256}.${recipient % 256}`;

/** Returns the CPU seconds from a log to its committed and judged events. */
async function cpuOf(benchSystem: BenchSystem, directory: string, name: string, lines: string): Promise<number> {
  const waiting = join(directory, 'access.log.waiting');
  await writeFile(waiting, lines);
  const total = async (): Promise<number> =>
    [...(await cpuSeconds(pidsOf(benchSystem))).values()].reduce((sum, seconds) => sum + seconds, 0);
  const [bytes, before] = [await committedBytes(benchSystem), await total()];
  await rename(waiting, join(benchSystem.system.logDirs[0] as string, `access.log.${name}`));
  await waitUntil('the log is committed', async () => (await committedBytes(benchSystem)) === bytes + Buffer.byteLength(lines));
  await waitUntil('its events are judged', () => isJudged(benchSystem, 'a'));
  return (await total()) - before;
}
