import { appendFile, mkdir, mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseMetrics, type PartResponse, readPart, type Sample } from '../../operating/status/read-part.ts';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import type { Status } from '../../operating/status/read-status.ts';
import { createJetStreamManager } from '../../core/nats.ts';
import { natsUrlWithCredentials } from '../../core/nats-url.ts';
import { type PartAddress, parseParts } from '../../core/parts.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys, type SlugCodec } from '../../core/slug.ts';
import { consumerName, STREAM } from '../../core/subjects.ts';
import { REPLY_TIMEOUT_MS } from '../../log-agent/ledger-client.ts';
import { addSubscription, pauseSubscription } from '../../operating/subscriptions.ts';
import { startPart } from '../../stack/part.ts';
import type { Running } from '../../stack/process.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { readAlerts, selectorsOf } from '../support/alerts.ts';
import { clickledger, type CommandResult } from '../support/commands.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually, natsConnection } from '../support/servers.ts';

// Tests what the system reports while parts of it are down: /healthz, /metrics, the alert rules and `clickledger status`.

const BROWSER = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
const TARGET = 'https://www.example.com/';
const OPERATOR_PASSWORD = 'of-the-operator';
let system: System;
let dataDir: string;
let parts: PartAddress[];
/** The desk, the relay and this forwarder are not in PARTS of the system. */
let desk: Running & { adminPort: number };
let relay: Running & { adminPort: number };
let forwarder: Running & { adminPort: number };
let author: Pool;
let slugs: SlugCodec;
const links = { good: 0, fallback: 0, gone: 0 };

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-seen-'));
  const mirror = join(dataDir, 'mirror');
  await mkdir(mirror);
  system = await startSystem({
    dataDir,
    shards: 2,
    durable: false,
    natsOperatorPassword: OPERATOR_PASSWORD,
    extra: { LOG_LEVEL: 'warn', ANALYST_MAX_SECONDS: '3', LOG_MIRROR: mirror },
  });
  parts = parseParts(system.env['PARTS'] ?? '');
  desk = await startPart({ part: 'desk', name: 'desk', runDir: join(dataDir, 'run'), env: { ...system.env, DESK_PORT: '0' } });
  relay = await startPart({ part: 'relay', name: 'relay', runDir: join(dataDir, 'run'), env: { ...system.env, RELAY_PORT: '0' } });
  const owner = createPool(system.env['CATALOG_URL'] ?? '', { max: 2, name: 'test' });
  // The metrics of subscriptions have labels only if there are subscriptions. Nobody listens at this port.
  for (const name of ['failing', 'paused'])
    await addSubscription(owner, parseShards(system.env['SHARDS'] ?? ''), system.env['CATALOG_URL'] ?? '', {
      name,
      target: 'http://127.0.0.1:1/',
      filter: { kinds: ['click'], campaigns: null, verdicts: null, since: null, waitMs: 0 },
      beginning: 'everything',
      batch: 1,
      withAddresses: false,
      secret: undefined,
    });
  await pauseSubscription(owner, 'paused');
  await owner.end();
  const forwarderEnv = { ...system.env, FORWARDER_NETWORKS: '127.0.0.1' };
  forwarder = await startPart({ part: 'forwarder', name: 'forwarder', runDir: join(dataDir, 'run'), env: forwarderEnv });
  author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  const { id: campaign } = await ensureCampaign(author, 'plain');
  const { id: campaignWithFallback } = await ensureCampaign(author, 'caring', { fallbackUrl: 'https://www.example.com/fallback' });
  links.good = await ensureLink(author, campaign, { kind: 'url', target: TARGET });
  links.gone = await ensureLink(author, campaign, { kind: 'url', target: `${TARGET}gone` });
  links.fallback = await ensureLink(author, campaignWithFallback, { kind: 'url', target: `${TARGET}late` });
  await author.query('UPDATE catalog.link SET disabled_at = now() WHERE id = ANY($1)', [[links.gone, links.fallback]]);
  await eventually('both backends know the links', async () => {
    const known = await Promise.all(['backend-1', 'backend-2'].map((name) => value(name, 'clickledger_backend_links')));
    return known.every((count) => count === 3);
  });
}, 120_000);

afterAll(async () => {
  await author?.end();
  await relay?.stop();
  await forwarder?.stop();
  await desk?.stop();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** The parts of PARTS, the desk, the relay and the forwarder. */
const everyPart = (): PartAddress[] => [
  ...parts,
  ...Object.entries({ desk, relay, forwarder }).map(([name, { adminPort }]) => ({ name, url: `http://127.0.0.1:${adminPort}` })),
];

async function ask(name: string): Promise<PartResponse> {
  const answer = await readPart(everyPart().find((part) => part.name === name) as PartAddress);
  if (!answer) throw new Error(`${name} does not answer`);
  return answer;
}

async function degradedCodes(name: string): Promise<string[]> {
  return (await ask(name)).health.degraded.map(({ code }) => code);
}

const sum = (samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number =>
  samples
    .filter((sample) => sample.name === name && Object.entries(labels).every(([label, wanted]) => sample.labels[label] === wanted))
    .reduce((total, sample) => total + sample.value, 0);

async function value(name: string, metric: string, labels: Record<string, string> = {}): Promise<number> {
  return sum((await ask(name)).samples, metric, labels);
}

async function allSamples(): Promise<Sample[]> {
  return (await Promise.all(everyPart().map(({ name }) => ask(name)))).flatMap(({ samples }) => samples);
}

async function click(link: number, codec = slugs, recipient = 7): Promise<number> {
  const path = `/u/${codec.encode({ link, recipient })}`;
  return (await rawRequest(system.ports.edges[0] as number, 'GET', path, BROWSER)).status;
}

const status = (...args: string[]): Promise<CommandResult> => clickledger(['--data', dataDir, 'status', ...args]);

/** Returns the status as `--json` prints it. Its times are strings. */
async function statusJson(): Promise<{ code: number | null; seen: Status }> {
  const { code, stdout } = await status('--json');
  return { code, seen: JSON.parse(stdout) as Status };
}

const problemsOf = ({ problems }: Status): string[] => problems.map(({ where, about, code }) => `${about ?? where} ${code}`).sort();

/** Returns the problems without the torn line, which is reported for a whole day. */
const newProblemsOf = (seen: Status): string[] => problemsOf(seen).filter((problem) => problem !== 'shard a dead-letters');

/**
 * Returns whether both shards have committed everything. Before the ledger of a shard has answered, the agent reports no value for this
 * shard.
 */
async function allShipped(): Promise<boolean> {
  const unshipped = (await ask('log-agent-1')).samples.filter(({ name }) => name === 'clickledger_agent_unshipped_bytes');
  return unshipped.length === 2 && unshipped.every((sample) => sample.value === 0);
}

async function untilHealthy(): Promise<void> {
  await eventually('no part is degraded', async () =>
    (await Promise.all(parts.map(({ name }) => degradedCodes(name)))).every((list) => list.length === 0),
  );
}

describe('what every part says', () => {
  test('it is what it is, ready and well, at the address that PARTS has', async () => {
    expect(parts.map(({ name }) => name)).toEqual(['event-worker-1', 'backend-1', 'backend-2', 'log-agent-1']);
    await untilHealthy();
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    for (const { name, url } of parts) {
      const kind = name.replace(/^.*-(?=agent|worker)/, '').replace(/-\d+$/, '');
      const answer = await fetch(`${url}/healthz`);
      expect([answer.status, await answer.json()]).toEqual([
        200,
        { part: kind, version, pid: system.member(name).running?.pid, live: true, ready: true, degraded: [] },
      ]);
      const { samples } = await ask(name);
      expect(sum(samples, `clickledger_${kind}_build_info`, { version })).toBe(1);
      expect(sum(samples, `clickledger_${kind}_ready`)).toBe(1);
      expect(sum(samples, `clickledger_${kind}_degraded`)).toBe(0);
      expect(sum(samples, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    }
  });

  test('metrics are explained, and named by part and unit', async () => {
    // These gauges count things, so they have no unit in their names.
    const counts = /_(links|aliases|generations|files|salts|messages|hits|clients|ready|degraded|paused|primaries|up|replicas|available)$/;
    for (const { name, url } of everyPart()) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const kind = (await ask(name)).health.part;
      const helps = new Map(Array.from(text.matchAll(/^# HELP (\S+) (.+)$/gm), (match) => [match[1] as string, match[2] as string]));
      const types = new Map(Array.from(text.matchAll(/^# TYPE (\S+) (\S+)$/gm), (match) => [match[1] as string, match[2] as string]));
      const own = [...types].filter(([metric]) => metric.startsWith('clickledger_'));
      expect(own.length).toBeGreaterThanOrEqual(5);
      for (const [metric, type] of own) {
        expect(metric).toMatch(new RegExp(`^clickledger_${kind}_[a-z_]+$`));
        expect(helps.get(metric)?.length ?? 0, metric).toBeGreaterThan(7);
        if (type === 'counter') expect(metric).toMatch(/_total$/);
        else if (type === 'histogram') expect(metric).toMatch(/_seconds$/);
        else expect(metric).toMatch(new RegExp(`_seconds$|_bytes$|_info$|${counts.source}`));
      }
      const families = [...types.keys()];
      for (const { name: metric } of parseMetrics(text)) {
        expect(families.some((family) => metric === family || /^_(bucket|sum|count)$/.test(metric.slice(family.length)))).toBe(true);
      }
    }
  });
});

describe('the alert rules', () => {
  test('ask only for metrics and labels that are there', async () => {
    // These counters have no labels before the first failure.
    const unseen = new Map([
      ['clickledger_agent_publish_failures_total', ['reason']],
      ['clickledger_worker_failures_total', ['shard', 'code']],
      // These gauges are about databases with several hosts.
      ['clickledger_worker_primaries', ['hosts']],
      ['clickledger_worker_database_up', ['host']],
      ['clickledger_worker_standby_behind_bytes', ['host']],
    ]);
    const samples = await allSamples();
    const texts = (await Promise.all(everyPart().map(async ({ url }) => (await fetch(`${url}/metrics`)).text()))).join('');
    for (const { alert, expr, annotations } of await readAlerts()) {
      const selectors = selectorsOf(expr);
      expect(selectors.length, alert).toBeGreaterThan(0);
      const labelled = new Set(['instance']);
      for (const { metric, labels, values } of selectors) {
        // Prometheus itself creates `up`, and adds these two labels to every metric.
        const wanted = labels.filter((label) => label !== 'instance' && label !== 'job');
        if (metric === 'up') continue;
        const known = unseen.get(metric);
        if (known) {
          expect(texts, alert).toContain(`# TYPE ${metric} `);
          for (const label of wanted) expect(known, `${alert}: ${metric}`).toContain(label);
        } else {
          const found = samples.filter(
            (sample) =>
              sample.name === metric && Object.entries(values).every(([label, text]) => label === 'job' || sample.labels[label] === text),
          );
          expect(found.length, `${alert}: ${metric}`).toBeGreaterThan(0);
          for (const sample of found)
            for (const label of wanted) expect(Object.keys(sample.labels), `${alert}: ${metric}`).toContain(label);
        }
        for (const sample of samples) if (sample.name === metric) for (const label of Object.keys(sample.labels)) labelled.add(label);
        for (const label of known ?? []) labelled.add(label);
      }
      for (const [, label] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g))
        expect([...labelled], alert).toContain(label);
    }
  });

  test('each say what happened, how urgent it is, and where in the README it is explained; every row there is an alert', async () => {
    const page = await readFile(new URL('../../docs/alarms.md', import.meta.url), 'utf8');
    const section = page.split('\n## What each alarm means\n')[1]?.split('\n## ')[0] ?? '';
    const rows = Array.from(section.matchAll(/^\| <a id="([a-z-]+)"><\/a>`(\w+)` \| .+ \| .+ \|$/gm), (match) => [match[2], match[1]]);
    const alerts = await readAlerts();
    expect(rows).toEqual(alerts.map(({ alert, annotations }) => [alert.replace('Clickledger', ''), annotations['runbook']?.split('#')[1]]));
    for (const { alert, labels, annotations } of alerts) {
      expect(['page', 'ticket'], alert).toContain(labels['severity']);
      for (const name of ['summary', 'description', 'runbook'])
        expect(annotations[name]?.length ?? 0, `${alert} ${name}`).toBeGreaterThan(10);
    }
  });

  test('what is no PromQL is noticed', () => {
    expect(() => selectorsOf('sum by (shard) (rate(x[5m])')).toThrow('no PromQL');
    expect(selectorsOf('sum by (a) (x{b="c"}) / max(y)')).toEqual([
      { metric: 'x', labels: ['a', 'b'], values: { b: 'c' }, patterns: {} },
      { metric: 'y', labels: [], values: {}, patterns: {} },
    ]);
    expect(selectorsOf('x{b=~"c|d"}')).toEqual([{ metric: 'x', labels: ['b'], values: {}, patterns: { b: 'c|d' } }]);
  });
});

describe('metrics', () => {
  test('count what happened', async () => {
    // Until the workers of both shards have answered for this log, the agent may read the log separately for each shard, so lines may be
    // counted twice.
    let before = await allSamples();
    let after: Sample[] = [];
    const increase = (name: string, labels: Record<string, string> = {}): number => sum(after, name, labels) - sum(before, name, labels);
    expect(await click(links.good)).toBe(302);
    await eventually('the first hit is in', async () => {
      after = await allSamples();
      return increase('clickledger_worker_events_total') === 1 && increase('clickledger_worker_judged_events_total') === 1;
    });
    await eventually('every shard has committed the log', allShipped);
    before = await allSamples();
    const otherKeyCodec = createSlugCodec(parseSlugKeys('12'.repeat(32)));
    const sent = { redirect: 5, fallback: 4, gone: 3, unknown: 2, forged: 6 };
    const send = { redirect: links.good, fallback: links.fallback, gone: links.gone, unknown: 999_999 };
    const answers = { redirect: 302, fallback: 302, gone: 410, unknown: 404 };
    for (const outcome of ['redirect', 'fallback', 'gone', 'unknown'] as const) {
      for (let i = 0; i < sent[outcome]; i++) expect(await click(send[outcome], slugs, i + 1)).toBe(answers[outcome]);
    }
    for (let i = 0; i < sent.forged; i++) expect(await click(links.good, otherKeyCodec)).toBe(404);
    const opens = 7;
    for (let i = 0; i < opens; i++) {
      await rawRequest(system.ports.edges[0] as number, 'GET', `/r/${slugs.encode({ link: links.good, recipient: i + 1 })}.gif`, BROWSER);
    }
    await appendFile(join(system.logDirs[0] as string, 'access.log'), 'torn by a full disk\n');

    const hits = sent.redirect + sent.fallback + opens;
    // nginx logs only requests that can count.
    const notServed = 0;
    await eventually('the log is in', async () => {
      after = await allSamples();
      return (
        increase('clickledger_worker_events_total') === hits &&
        increase('clickledger_worker_dead_letters_total') === 1 &&
        sum(after, 'clickledger_agent_unshipped_bytes') === 0
      );
    });
    for (const [outcome, count] of Object.entries({ ...sent, later: 0 }))
      expect(increase('clickledger_backend_redirects_total', { outcome }), outcome).toBe(count);
    const clicks = Object.values(sent).reduce((a, b) => a + b);
    expect(increase('clickledger_backend_redirect_seconds_count')).toBe(clicks);
    expect(increase('clickledger_backend_redirect_seconds_bucket', { le: '+Inf' })).toBe(clicks);
    expect(increase('clickledger_backend_redirect_seconds_sum')).toBeGreaterThan(0);
    expect(increase('clickledger_worker_dead_letters_total', { reason: 'torn' })).toBe(1);
    expect(increase('clickledger_worker_skipped_lines_total', { reason: 'not-served' })).toBe(notServed);
    expect(increase('clickledger_worker_skipped_lines_total')).toBe(notServed);
    expect(increase('clickledger_agent_lines_total')).toBe(hits + notServed);
    expect(increase('clickledger_worker_batches_total')).toBe(increase('clickledger_agent_batches_total'));
    expect(increase('clickledger_worker_batches_total')).toBeGreaterThan(0);
    await eventually('everything is judged', async () => {
      after = await allSamples();
      return increase('clickledger_worker_judged_events_total') === hits && sum(after, 'clickledger_worker_unjudged_hits') === 0;
    });
    expect(sum(after, 'clickledger_agent_salts')).toBe(1);
    expect(sum(after, 'clickledger_agent_generations')).toBe(1);
  });

  test('tell of transactions of the analyst that a worker has ended', async () => {
    const metric = 'clickledger_worker_ended_queries_total';
    const known = await value('event-worker-1', metric);
    const pool = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
    const endless = pool
      .query('SET statement_timeout = 0')
      .then(() => pool.query('SELECT count(*) FROM generate_series(1, 1000000000000)'));
    await expect(endless).rejects.toMatchObject({ code: '57014' });
    await pool.end();
    await eventually('the worker has counted it', async () => (await value('event-worker-1', metric)) > known);
    const onOwnServer = createPool(system.env['ANALYST_URL']?.replace(/\/clickledger$/, '/postgres') ?? '', { max: 1, name: 'test' });
    await expect(onOwnServer.query('SELECT 1')).rejects.toMatchObject({ code: '42501' });
    await onOwnServer.end();
  });

  test('tell how much room the logs have', async () => {
    const disk = await statfs(system.logDirs[0] as string);
    expect(await value('log-agent-1', 'clickledger_agent_log_disk_size_bytes')).toBe(disk.blocks * disk.bsize);
    const free = await value('log-agent-1', 'clickledger_agent_log_disk_free_bytes');
    expect(free).toBeGreaterThan(0);
    expect(free).toBeLessThan(disk.blocks * disk.bsize);
  });
});

describe('while something is down', () => {
  test('NATS: agent and worker say so, and the hit that waits has its age', async () => {
    await system.member('nats').running?.kill();
    await eventually('both say so', async () =>
      (await Promise.all(['log-agent-1', 'event-worker-1'].map(degradedCodes))).every((list) => list.includes('nats-unreachable')),
    );
    expect(await degradedCodes('log-agent-1')).toEqual(['nats-unreachable']);
    expect(await degradedCodes('backend-1')).toEqual([]);
    expect(await value('log-agent-1', 'clickledger_agent_degraded', { code: 'nats-unreachable' })).toBe(1);
    const beforeMs = Date.now();
    expect(await click(links.good)).toBe(302);
    const afterMs = Date.now();
    await eventually('it is not shipped', async () => (await value('log-agent-1', 'clickledger_agent_unshipped_bytes')) > 0);
    // The log has millisecond timestamps. The line was written between beforeMs and afterMs.
    const askedMs = Date.now();
    const samples = (await ask('log-agent-1')).samples.filter(({ name }) => name === 'clickledger_agent_oldest_unshipped_seconds');
    const answeredMs = Date.now();
    expect(samples).toHaveLength(2);
    for (const sample of samples) {
      expect(sample.value * 1000).toBeGreaterThanOrEqual(askedMs - afterMs - 1);
      expect(sample.value * 1000).toBeLessThanOrEqual(answeredMs - beforeMs + 1);
    }
    expect(samples.map(({ labels }) => labels['shard'])).toEqual(['a', 'b']);

    const { code, seen } = await statusJson();
    expect(code).toBe(3);
    expect(seen).toMatchObject({
      ok: false,
      stream: { answers: false, messages: null },
      shards: [{ waiting_messages: null, answers: true }, { shard: 'b' }],
    });
    expect(newProblemsOf(seen)).toEqual(['event-worker-1 nats-unreachable', 'log-agent-1 nats-unreachable', 'nats nats-unreachable']);
    expect(seen.parts.find(({ name }) => name === 'log-agent-1')?.unshipped_bytes).toBeGreaterThan(0);

    await system.member('nats').start();
    await untilHealthy();
    await eventually('the hit is shipped', allShipped);
    expect(await value('log-agent-1', 'clickledger_agent_oldest_unshipped_seconds')).toBe(0);
  });

  test('a part that starts while NATS is down is live and not ready, and says why', async () => {
    await system.member('log-agent-1').running?.stop();
    await system.member('nats').running?.kill();
    const { url } = parts.find(({ name }) => name === 'log-agent-1') as PartAddress;
    const starting = system.member('log-agent-1').start();
    let answer: Response | undefined;
    await eventually('it answers', async () => {
      answer = await fetch(`${url}/healthz`).catch(() => undefined);
      return answer !== undefined;
    });
    expect([answer?.status, await answer?.json()]).toMatchObject([
      503,
      { live: true, ready: false, degraded: [{ code: 'nats-unreachable', mend: expect.stringContaining('start NATS') as string }] },
    ]);
    await system.member('nats').start();
    await starting;
    await untilHealthy();
  });

  test('Postgres: backends and worker say so, what waits and how old the links are is told, and no table is missing', async () => {
    await eventually('nothing waits', allShipped);
    const downMs = Date.now();
    await system.member('postgres').running?.kill();
    await eventually('the worker says so', async () => (await degradedCodes('event-worker-1')).includes('database-unreachable'));
    for (const name of ['backend-1', 'backend-2'])
      await eventually(`${name} says so`, async () => (await degradedCodes(name)).join() === 'links-stale');
    const ages = (await allSamples()).filter(({ name }) => name === 'clickledger_backend_links_age_seconds');
    expect(ages).toHaveLength(2);
    await eventually('the links age', async () => (await value('backend-1', 'clickledger_backend_links_age_seconds')) > 2);
    expect(await click(links.good)).toBe(302);
    // The backends do not have this link in memory, so they must ask the catalog.
    expect(await click(777_777)).toBe(503);
    await eventually(
      'the worker holds the batches',
      async () => (await value('event-worker-1', 'clickledger_worker_pending_messages')) > 0,
    );
    expect(sum(await allSamples(), 'clickledger_backend_redirects_total', { outcome: 'later' })).toBeGreaterThan(0);
    expect(await value('event-worker-1', 'clickledger_worker_pending_bytes')).toBeGreaterThan(0);
    expect(await value('event-worker-1', 'clickledger_worker_stream_bytes')).toBeGreaterThan(0);
    const waited = (await ask('event-worker-1')).samples.filter(({ name }) => name === 'clickledger_worker_oldest_pending_seconds');
    const longest = Math.max(...waited.map((sample) => sample.value));
    expect(longest).toBeGreaterThan(0);
    expect(longest * 1000).toBeLessThanOrEqual(Date.now() - downMs);

    const { code, seen } = await statusJson();
    expect(code).toBe(3);
    expect(seen.shards.map(({ answers, missing_bytes, database_bytes }) => ({ answers, missing_bytes, database_bytes }))).toEqual(
      ['a', 'b'].map(() => ({ answers: false, missing_bytes: null, database_bytes: null })),
    );
    expect(seen.stream.messages).toBeGreaterThan(0);
    expect(seen.parts.every(({ answers }) => answers)).toBe(true);
    const problems = problemsOf(seen);
    for (const one of ['backend-1 links-stale', 'backend-2 links-stale', 'catalog database-unreachable', 'shard a database-unreachable'])
      expect(problems).toContain(one);
    const page = (await status()).stdout;
    expect(page).toMatch(/^backend-1 +degraded /m);
    expect(page).toMatch(/^b +silent /m);
    expect(page).toContain('→ start the Postgres of the catalog');

    await system.member('postgres').start();
    await untilHealthy();
    await eventually('nothing waits', async () => (await value('event-worker-1', 'clickledger_worker_pending_messages')) === 0);
  });

  test('a backend: it is shown as silent, and nothing else breaks', async () => {
    await system.member('backend-2').running?.stop();
    const { code, seen } = await statusJson();
    expect(code).toBe(3);
    expect(problemsOf(seen)).toContain('backend-2 part-silent');
    expect(seen.parts.map(({ name, answers, links: held }) => [name, answers, held])).toEqual([
      ['event-worker-1', true, null],
      ['backend-1', true, 3],
      ['backend-2', false, null],
      ['log-agent-1', true, null],
    ]);
    await system.member('backend-2').start();
  });

  test('a consumer: only its shard is told of, and not that NATS is silent', async () => {
    await system.member('event-worker-1').running?.stop();
    const stoppedMs = performance.now();
    const connection = await natsConnection(natsUrlWithCredentials(system.env['WORKER_NATS_URL'] ?? '', 'operator', OPERATOR_PASSWORD));
    try {
      await (await createJetStreamManager(connection)).consumers.delete(STREAM, consumerName('b'));
    } finally {
      await connection.close();
    }
    const { seen } = await statusJson();
    expect(problemsOf(seen)).toEqual(expect.arrayContaining(['event-worker-1 part-silent', 'shard b consumer-missing']));
    expect(problemsOf(seen).join()).not.toContain('nats-unreachable');
    expect(seen.stream.answers).toBe(true);
    expect(seen.shards.map(({ waiting_messages }) => waiting_messages)).toEqual([0, null]);
    await system.member('event-worker-1').start();
    // Until then, the agent may report that a shard is silent, because the stopped worker has not replied to a request.
    await eventually('requests to the stopped worker have failed', async () => performance.now() - stoppedMs > REPLY_TIMEOUT_MS);
    await untilHealthy();
  });
});

describe('clickledger status', () => {
  test('when all is well: three tables, exit code 0; the torn line of before is told for a day', async () => {
    const torn = await statusJson();
    expect([torn.code, problemsOf(torn.seen)]).toEqual([3, ['shard a dead-letters']]);
    const owner = createPool(system.env['CATALOG_URL']?.replace(/\/clickledger$/, '/clickledger_shard_a') ?? '', { max: 1, name: 'test' });
    await owner.query("UPDATE shard.dead_letter SET at = at - interval '1 day'");
    await owner.end();

    // The agent may still be waiting for an answer from the worker that was stopped.
    await eventually('the agent has asked every ledger', allShipped);
    const { code, stdout, stderr } = await status();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^log-agent-1 +ok +0 B +0\.0 s +\S+ [kMGTP]B \(\d+ %\)/m);
    expect(stdout).toMatch(/^backend-1 +ok .* 3 +\d\.\d s ago +–$/m);
    expect(stdout).toMatch(/^ok +0 +0 B +0 % +1 of 1 +–$/m);
    expect(stdout).toMatch(/^a +ok +0 \(0 B\) +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +1 +0 B +0 +1 /m);
    expect(stdout).toMatch(/\nall is well\n$/);
    // The worker was stopped and started again, so its counters begin at 0.
    const folded = await value('event-worker-1', 'clickledger_worker_folded_hits_total', { reason: 'version' });
    const invented = { 'User-Agent': BROWSER['User-Agent'].replaceAll('140', '7777') };
    const path = `/u/${slugs.encode({ link: links.good, recipient: 7 })}`;
    for (let i = 0; i < 3; i++) await rawRequest(system.ports.edges[0] as number, 'GET', path, invented);
    await eventually(
      'the invented versions are counted',
      async () => (await value('event-worker-1', 'clickledger_worker_folded_hits_total', { reason: 'version' })) === folded + 3,
    );
    await eventually('the logs are committed', allShipped);
    const { seen } = await statusJson();
    expect(seen.shards.reduce((total, { folded_hits }) => total + (folded_hits ?? Number.NaN), 0)).toBe(folded + 3);
    expect(seen).toMatchObject({ ok: true, problems: [], stream: { answers: true, messages: 0, limit_bytes: 1024 ** 3 } });
    expect(Object.keys(seen)).toEqual(['at', 'ok', 'parts', 'stream', 'shards', 'databases', 'problems']);
    const help = (await status('--help')).stdout;
    for (const key of [...Object.keys(seen.parts[0] ?? {}), ...Object.keys(seen.shards[0] ?? {}), ...Object.keys(seen.stream)])
      expect(help).toMatch(new RegExp(`\\b${key}\\b`));
  });

  /** Runs `status --watch` until `enough` accepts its output, then ends it with Ctrl-C. */
  async function runWatch(
    args: string[],
    enough: (text: string) => boolean,
    terminal = false,
  ): Promise<{ text: string; code: number | null }> {
    const file = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
    const line = [process.execPath, file, '--data', dataDir, 'status', '--watch', ...args];
    const [command = '', ...rest] = terminal ? ['script', '-qefc', `exec ${line.map((word) => `'${word}'`).join(' ')}`, '/dev/null'] : line;
    const child = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], TERM: 'xterm', COLUMNS: '200' },
    });
    // Waits for 'close' instead of 'exit', because there may be unread output.
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    await eventually('it has printed enough', () => enough(text));
    // The terminal turns this character (Ctrl-C) into SIGINT.
    if (terminal) child.stdin.write('\x03');
    else child.kill('SIGINT');
    return { code: await ended, text };
  }

  test('--watch prints a line each time, or an object', async () => {
    const lines = await runWatch([], (text) => text.split('\n').length > 2);
    expect(lines.code).toBe(0);
    expect(lines.text).toMatch(
      /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ok 0 B not shipped, oldest 0\.0 s, 0 batches in the stream, 0 B missing, 1 dead letters\n){2,}$/,
    );
    const objects = await runWatch(['--json'], (text) => text.split('\n').length > 2);
    for (const one of objects.text.trim().split('\n')) expect(JSON.parse(one)).toMatchObject({ ok: true });
  });

  test('--watch on a terminal shows everything again in place, until Ctrl-C', async () => {
    const { text, code } = await runWatch([], (shown) => shown.split('all is well').length > 2, true);
    expect(code).toBe(0);
    for (const page of text.split('\x1b[H\x1b[J').slice(1, 3)) expect(page).toMatch(/log-agent-1 +ok[^]*all is well/);
  });
});
