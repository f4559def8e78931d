import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { createUrls } from '../../authoring/urls.ts';
import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { sleep } from '../../core/time.ts';
import { startSystem } from '../../stack/system.ts';
import { type PatroniMember, startPatroni } from '../support/patroni.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Postgres under Patroni. Patroni promotes a standby by itself, and makes a standby of the former primary when it comes back.

const eventsOf = async (member: PatroniMember): Promise<{ events: number; different: number }> => {
  const [row] = await member.query(
    'clickledger_shard_a',
    'SELECT count(*)::int AS events, count(DISTINCT (gen, off))::int AS different FROM shard.event',
  );
  return row as { events: number; different: number };
};

test('when the primary is lost, redirects and counts go on with the server that Patroni promotes', async () => {
  const cluster = await startPatroni();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-patroni-system-'));
  const system = await startSystem({ dataDir, durable: false, extra: { ...cluster.settings, RATE_LIMIT: '10000' } });
  onTestFinished(async () => {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const port = system.ports.edges[0] as number;
  const urls = createUrls('', createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? '')));
  let clicks = 0;
  const newLink = async (target: string): Promise<string> => {
    const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
    const { id } = await ensureCampaign(author, 'patroni');
    const path = urls.click(await ensureLink(author, id, { kind: 'url', target }), 0);
    await author.end();
    await eventually('the link is redirected', async () => {
      const { status } = await rawRequest(port, 'GET', path);
      if (status === 302) clicks++;
      return status === 302;
    });
    return path;
  };
  const untilCounted = (member: PatroniMember): Promise<void> =>
    expect.poll(() => eventsOf(member).catch(String), { timeout: 60_000 }).toEqual({ events: clicks, different: clicks });

  const path = await newLink('https://www.example.com/1');
  const first = await cluster.leader();
  for (let i = 0; i < 50; i++, clicks++) expect((await rawRequest(port, 'GET', path)).status).toBe(302);
  await untilCounted(first);

  // Clicks go on until another server is the leader.
  await first.kill();
  let second: PatroniMember | undefined;
  const promoted = cluster.leader().then((member) => {
    second = member;
  });
  while (second === undefined) {
    expect((await rawRequest(port, 'GET', path)).status).toBe(302);
    clicks++;
    await sleep(10);
  }
  await promoted;
  expect(second).not.toBe(first);
  await untilCounted(second);
  await newLink('https://www.example.com/2');
  await untilCounted(second);

  await first.start();
  await eventually('the former primary is a standby', async () => (await first.role().catch(() => '')) === 'replica', 120_000);
  await untilCounted(first);
  await untilCounted(second);
}, 300_000);
