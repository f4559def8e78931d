import { appendFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureCampaign, markSent } from '../../authoring/campaigns.ts';
import { ensureLinks } from '../../authoring/links.ts';
import { resolveRecipients } from '../../authoring/resolve-recipients.ts';
import { createUrls, type Urls } from '../../authoring/urls.ts';
import { messageOf } from '../../core/errors.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { parseShards, type ShardMap, shardUrl } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { exitStatus } from '../support/processes.ts';
import { eventually } from '../support/servers.ts';
import { generateTraffic, type TrafficOptions } from '../traffic/generate.ts';
import { type Hit, SHARED } from '../traffic/hits.ts';
import { accessLogLines } from '../traffic/lines.ts';

/** One newsletter: its campaign, links and recipients, and its traffic with the true cause of every hit. */
export interface Letter {
  name: string;
  campaign: number;
  sentAt: number;
  /** The id and the target of each link of the traffic. */
  links: { id: number; target: string }[];
  pixel: number;
  /** The id, the address and the author's own id of each recipient of the traffic. */
  people: { id: number; email: string; externalId: string }[];
  hits: Hit[];
  /** The log lines of the hits, in the same order. */
  lines: string[];
}

interface LetterPlan extends TrafficOptions {
  name: string;
  /** A prefix for the recipients: their addresses are `<people>-1@example.com`, …, and their external ids are `<PEOPLE>/1`, …. */
  people: string;
  targets: readonly { target: string; label?: string }[];
  /** Makes the traffic; by default generateTraffic. */
  generate?: (options: TrafficOptions) => Hit[];
}

/** The whole system on loopback. Lines that a test appends to its access log are processed like real traffic. */
export interface Setup {
  dataDir: string;
  system: System;
  author: Pool;
  analyst: Pool;
  shards: ShardMap;
  urls: Urls;
  stop(): Promise<void>;
}

export async function startSetup(shardCount: number): Promise<Setup> {
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-reports-'));
  const system = await startSystem({ dataDir, shards: shardCount, backends: 1, durable: false, extra: { LOG_LEVEL: 'warn' } });
  const author = createPool(setting(system, 'AUTHOR_URL'), { max: 2, name: 'test' });
  const analyst = createPool(setting(system, 'ANALYST_URL'), { max: 1, name: 'test' });
  return {
    dataDir,
    system,
    author,
    analyst,
    shards: parseShards(setting(system, 'SHARDS')),
    urls: createUrls(system.baseUrl, createSlugCodec(parseSlugKeys(setting(system, 'SLUG_KEYS')))),
    async stop() {
      await author.end();
      await analyst.end();
      await system.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function setting(system: System, name: string): string {
  return system.env[name] ?? '';
}

/** Creates a campaign, its links and its recipients as an author does, and generates its traffic. */
export async function makeLetter({ author, urls }: Setup, plan: LetterPlan): Promise<Letter> {
  const { id: campaign } = await ensureCampaign(author, plan.name, { fallbackUrl: 'https://shop.example/' });
  const specs = plan.targets.map((target, i) => ({ kind: 'url' as const, ...target, position: i + 1 }));
  const ids = await ensureLinks(author, campaign, [...specs, { kind: 'pixel' }]);
  const links = plan.targets.map(({ target }, i) => ({ id: ids[i] as number, target }));
  const pixel = ids.at(-1) as number;
  const keys = Array.from({ length: plan.recipients }, (_, i) => ({
    email: `${plan.people}-${i + 1}@example.com`,
    externalId: `${plan.people.toUpperCase()}/${i + 1}`,
  }));
  const recipients = await resolveRecipients(author, keys, campaign);
  const people = keys.map((key, i) => ({ ...key, id: recipients[i]?.id ?? 0 }));
  await markSent(author, campaign, new Date(plan.sentAt));

  const hits = (plan.generate ?? generateTraffic)(plan);
  const text = accessLogLines(hits, (hit) => {
    const recipient = hit.recipient === SHARED ? 0 : (people[hit.recipient]?.id as number);
    const link = links[hit.link]?.id as number;
    return hit.kind === 'click'
      ? { path: new URL(urls.click(link, recipient)).pathname, link: `${link}.1` }
      : { path: new URL(urls.pixel(pixel, recipient)).pathname, link: '' };
  });
  return { name: plan.name, campaign, sentAt: plan.sentAt, links, pixel, people, hits, lines: text.split(/(?<=\n)/) };
}

/** Appends the lines to the access log that the agent follows, and waits until all are committed and judged. */
export async function send(setup: Setup, letters: readonly Letter[]): Promise<void> {
  try {
    await appendAndWait(setup, letters);
  } catch (error) {
    // The logs of the parts are deleted together with the system, so the error must contain them.
    throw new Error([messageOf(error), ...(await collectDiagnostics(setup))].join('\n'), { cause: error });
  }
}

async function collectDiagnostics({ system, analyst, dataDir }: Setup): Promise<string[]> {
  const { rows } = await analyst.query('SELECT * FROM analytics.completeness');
  const ended = system.members.map(
    async ({ name, running }) => `${name} ${running ? ((await exitStatus(running)) ?? 'runs') : 'was not started'}`,
  );
  const runDir = join(dataDir, 'run');
  const logs = (await readdir(runDir)).filter((name) => name.endsWith('.log'));
  const texts = logs.map(async (name) => `${name}: ${(await readFile(join(runDir, name), 'utf8')).slice(-1000)}`);
  return [JSON.stringify(rows), ...(await Promise.all([...ended, ...texts]))];
}

async function appendAndWait({ system, analyst, shards }: Setup, letters: readonly Letter[]): Promise<void> {
  const log = join(setting(system, 'LOG_DIR'), 'access.log');
  await appendFile(log, letters.flatMap(({ lines }) => lines).join(''));
  const { size } = await stat(log);
  await eventually('all lines are committed on every shard', async () => {
    const { rows } = await analyst.query<{ committed: number; missing: number }>(
      'SELECT committed_bytes AS committed, missing_bytes AS missing FROM analytics.completeness',
    );
    return rows.length === shards.list.length && rows.every(({ committed, missing }) => committed === size && missing === 0);
  });
  for (const shard of shards.list) {
    const owner = new pg.Client({ connectionString: shardUrl(shard, setting(system, 'CATALOG_URL')) });
    await owner.connect();
    try {
      await eventually(
        `shard ${shard.name} is judged`,
        async () => (await owner.query('SELECT FROM shard.delta UNION ALL SELECT FROM shard.new_visit LIMIT 1')).rowCount === 0,
      );
    } finally {
      await owner.end();
    }
  }
}

/** A hit with the values that the database stored for it. */
export interface StoredHit extends Hit {
  verdict: string;
  country: string | null;
  net: string | null;
  client: string | null;
  device: string | null;
}

/** Returns the stored hits of a letter in the order of the traffic. A hit that is not counted is undefined. */
export async function storedHits(analyst: Pool, letter: Letter): Promise<(StoredHit | undefined)[]> {
  const { rows } = await analyst.query<{
    rid: string;
    verdict: string;
    country: string | null;
    net: string | null;
    client: string | null;
    device: string | null;
  }>(
    `SELECT replace(request_id::text, '-', '') AS rid, verdict, country, net, client, device FROM analytics.events WHERE campaign_id = $1`,
    [letter.campaign],
  );
  const byId = new Map(rows.map(({ rid, ...stored }) => [rid, stored]));
  if (byId.size !== rows.length) throw new Error(`${rows.length - byId.size} events of ${letter.name} are stored twice`);
  return letter.hits.map((hit, i) => {
    const { rid } = JSON.parse(letter.lines[i] as string) as { rid: string };
    const stored = byId.get(rid);
    return stored && { ...hit, ...stored };
  });
}
