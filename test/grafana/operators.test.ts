import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { messageOf } from '../../core/errors.ts';
import { parseParts } from '../../core/parts.ts';
import { createPool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { addSubscription, pauseSubscription } from '../../operating/subscriptions.ts';
import { locate } from '../../stack/debian.ts';
import { httpGet } from '../../stack/http.ts';
import { startPart } from '../../stack/part.ts';
import { freePort } from '../../stack/ports.ts';
import { type Running, startProcess } from '../../stack/process.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { readAlerts, selectorsOf } from '../support/alerts.ts';
import { GRAFANA, isPrometheus, panelsOf, putIn, readBoard } from '../support/grafana.ts';
import { type MailServer, sendRaw, startMailServer } from '../support/mail.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';
import { startWebhookServer, type WebhookServer } from '../support/webhook-server.ts';

// A real Prometheus scrapes a running system with all parts, and evaluates every expression of the operators' dashboard: while all is well, and
// while servers are down.

const run = promisify(execFile);
const BROWSER = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
/** Metrics without a panel: other metrics show the same, or nobody has to act on them. */
const NOT_SHOWN = [
  'clickledger_agent_read_bytes_total',
  'clickledger_agent_batches_total',
  'clickledger_agent_salts',
  'clickledger_agent_second_salts_total',
  'clickledger_worker_commits_total',
  'clickledger_worker_batches_total',
  'clickledger_worker_deleted_streams_total',
  'clickledger_worker_judged_events_total',
  'clickledger_worker_stream_messages',
];

interface Expression {
  panel: string;
  expr: string;
  /** The labels in the legend. */
  labels: string[];
  /** Whether the panel is empty while all is well. Then it has a text for this case. */
  isOfFailures: boolean;
}
type Labels = Record<string, string>;

const panels = panelsOf(await readBoard('operators'));
const expressions: Expression[] = panels.flatMap(({ title = '', fieldConfig, targets }) =>
  targets.filter(isPrometheus).map(({ expr, legendFormat }) => ({
    panel: title,
    // Grafana chooses the range by the width of the chart.
    expr: putIn(expr, { __rate_interval: '2m' }),
    labels: Array.from(legendFormat.matchAll(/\{\{(\w+)\}\}/g), ([, label]) => label as string),
    isOfFailures: fieldConfig.defaults.noValue !== undefined,
  })),
);

let dataDir: string;
let system: System;
let desk: Running & { adminPort: number };
let relay: Running & { adminPort: number };
let forwarder: Running & { adminPort: number };
let mailServer: MailServer;
let hook: WebhookServer;
let prometheus: Running;
let url: string;
let click: () => Promise<number>;
let deskPort: number;
let relayPort: number;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-grafana-'));
  const runDir = join(dataDir, 'run');
  system = await startSystem({ dataDir, shards: 2, durable: false, extra: { LOG_LEVEL: 'fatal' } });
  mailServer = await startMailServer();
  [deskPort, relayPort] = [await freePort(), await freePort()];
  desk = await startPart({ part: 'desk', name: 'desk', runDir, env: { ...system.env, DESK_PORT: String(deskPort) } });
  relay = await startPart({
    part: 'relay',
    name: 'relay',
    runDir,
    env: { ...system.env, RELAY_PORT: String(relayPort), RELAY_UPSTREAM: `smtp://127.0.0.1:${mailServer.port}` },
  });
  hook = await startWebhookServer();
  const owner = createPool(system.env['CATALOG_URL'] ?? '', { max: 2, name: 'test' });
  // One receiver accepts, nobody listens at the other one, and the third one is paused.
  for (const [name, target] of [
    ['good', hook.url],
    ['failing', 'http://127.0.0.1:1/'],
    ['paused', hook.url],
  ] as const)
    await addSubscription(owner, parseShards(system.env['SHARDS'] ?? ''), system.env['CATALOG_URL'] ?? '', {
      name,
      target,
      filter: { kinds: ['click'], campaigns: null, verdicts: null, since: null, waitMs: 0 },
      beginning: 'everything',
      batch: 10,
      withAddresses: false,
      secret: undefined,
    });
  await pauseSubscription(owner, 'paused');
  await owner.end();
  const networks = { FORWARDER_NETWORKS: '127.0.0.1' };
  forwarder = await startPart({ part: 'forwarder', name: 'forwarder', runDir, env: { ...system.env, ...networks } });
  const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id: campaign } = await ensureCampaign(author, 'plain');
  const link = await ensureLink(author, campaign, { kind: 'url', target: 'https://www.example.com/' });
  await author.end();
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  // Every recipient has a shard, so these clicks reach both shards.
  let recipient = 0;
  click = async () => {
    recipient = (recipient % 40) + 1;
    return (await rawRequest(system.ports.edges[0] as number, 'GET', `/u/${slugs.encode({ link, recipient })}`, BROWSER)).status;
  };
  prometheus = await startPrometheus([
    ...parseParts(system.env['PARTS'] ?? '').map((part) => new URL(part.url).host),
    `127.0.0.1:${desk.adminPort}`,
    `127.0.0.1:${relay.adminPort}`,
    `127.0.0.1:${forwarder.adminPort}`,
  ]);
}, 180_000);

afterAll(async () => {
  await prometheus?.stop();
  await forwarder?.stop();
  await hook?.close();
  await relay?.stop();
  await desk?.stop();
  await mailServer?.close();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** Starts Prometheus with examples/grafana/prometheus.yml, but with these targets and a scrape each second. */
async function startPrometheus(targets: readonly string[]): Promise<Running> {
  const config = parse(await readFile(join(GRAFANA, 'prometheus.yml'), 'utf8')) as {
    global: Record<string, string>;
    rule_files: string[];
    scrape_configs: { static_configs: { targets: readonly string[] }[] }[];
  };
  Object.assign(config.global, { scrape_interval: '1s', evaluation_interval: '1s' });
  config.rule_files = config.rule_files.map((file) => join(GRAFANA, file));
  for (const job of config.scrape_configs) job.static_configs = [{ targets }];
  const file = join(dataDir, 'prometheus.yml');
  await writeFile(file, stringify(config));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const options = ['--config.file', file, '--storage.tsdb.path', join(dataDir, 'tsdb'), '--web.listen-address', `127.0.0.1:${port}`];
  return startProcess({
    name: 'prometheus',
    command: await locate('prometheus'),
    args: [...options, '--log.level', 'warn'],
    env: {},
    stopSignal: 'SIGTERM',
    runDir: join(dataDir, 'run'),
    ready: async () => (await httpGet(port, '/-/ready'))?.status === 200,
  });
}

async function ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
  const body = (await response.json()) as { status: string; data: T; error?: string };
  if (body.status !== 'success') throw new Error(`${JSON.stringify(parameters)}: ${body.error}`);
  return body.data;
}

/** Returns the labels of the series of an expression that have a number. */
async function evaluate({ expr }: Expression): Promise<Labels[]> {
  const { result } = await ask<{ result: { metric: Labels; value: [number, string] }[] }>('query', { query: expr });
  return result.filter(({ value }) => value[1] !== 'NaN').map(({ metric }) => metric);
}

/** Uses all parts, so that every counter increases. */
async function use(): Promise<void> {
  for (let i = 0; i < 4; i++) await click();
  await fetch(`http://127.0.0.1:${deskPort}/`);
  const head = ['From: news@shop.example', 'To: ann@example.com', 'Subject: x', 'Content-Type: text/html'];
  for (const campaign of [['X-Clickledger-Campaign: relayed'], []]) {
    const message = [...head, ...campaign, '', '<a href="https://shop.example/">a</a>', ''].join('\r\n');
    // While hits are on their way to the database, the relay may not know who has unsubscribed. Then it defers the message, and a sender
    // would send it again. So does the next round.
    expect(await sendRaw(relayPort, message)).toMatch(/^(?:250|451 4\.3\.0) /);
  }
}

/** Uses the parts until each expression has had data. Checks the labels that the legends show. */
async function untilAllHaveData(wanted: readonly Expression[], use: () => Promise<void>): Promise<void> {
  const empty = new Set(wanted);
  await eventually(
    'each expression has data',
    async () => {
      await use();
      for (const one of empty) {
        const series = await evaluate(one);
        if (series.length === 0) continue;
        empty.delete(one);
        for (const labels of series)
          for (const label of one.labels) expect(Object.keys(labels), `${one.panel}: ${one.expr}`).toContain(label);
      }
      return empty.size === 0;
    },
    60_000,
  ).catch((error: unknown) => {
    const missing = [...empty].map(({ panel, expr }) => `${panel}: ${expr}`);
    throw new Error([messageOf(error), 'without data:', ...missing].join('\n'), { cause: error });
  });
}

test('the configurations and the rules are valid for Prometheus', async () => {
  const promtool = join(dirname(await locate('prometheus')), 'promtool');
  for (const name of ['prometheus.yml', 'prometheus-docker.yml']) {
    const { stdout } = await run(promtool, ['check', 'config', join(GRAFANA, name)]);
    expect(stdout).toContain(`SUCCESS: ${(await readAlerts()).length} rules found`);
  }
});

describe('the expressions', () => {
  test('have data while all is well', { timeout: 120_000 }, async () => {
    expect(expressions.length).toBeGreaterThan(50);
    await untilAllHaveData(
      expressions.filter(({ isOfFailures }) => !isOfFailures),
      use,
    );
  });

  test('show what fails while servers are down', { timeout: 180_000 }, async () => {
    await appendFile(join(system.logDirs[0] as string, 'access.log'), 'torn by a full disk\n');
    const ofFailures = expressions.filter(({ isOfFailures }) => isOfFailures);
    expect(ofFailures.length).toBeGreaterThan(4);
    const ofNats = ofFailures.filter(({ expr }) => expr.includes('clickledger_agent_publish_failures_total'));
    await system.member('postgres').running?.kill();
    await untilAllHaveData(
      ofFailures.filter((one) => !ofNats.includes(one)),
      async () => {
        await click();
        await fetch(`http://127.0.0.1:${deskPort}/`);
      },
    );
    await system.member('postgres').start();
    await system.member('nats').running?.kill();
    await untilAllHaveData(ofNats, async () => {
      await click();
    });
    await system.member('nats').start();
  });

  test('ask only for metrics, labels and values that the parts have', async () => {
    const samples = new Map<string, Labels[]>();
    for (const { panel, expr } of expressions) {
      const selectors = selectorsOf(expr);
      expect(selectors.length, panel).toBeGreaterThan(0);
      for (const { metric, labels, values, patterns } of selectors) {
        // The labels of an alarm depend on the alarm.
        if (metric === 'ALERTS') continue;
        if (!samples.has(metric)) samples.set(metric, await ask<Labels[]>('series', { 'match[]': metric }));
        const series = samples.get(metric) ?? [];
        expect(series.length, `${panel}: ${metric}`).toBeGreaterThan(0);
        // `max by (instance, version)` around several metrics asks each of them for the labels.
        for (const one of series) for (const label of labels) expect(Object.keys(one), `${panel}: ${metric}`).toContain(label);
        for (const [label, value] of Object.entries(values))
          expect(
            series.map((one) => one[label]),
            panel,
          ).toContain(value);
        for (const [label, pattern] of Object.entries(patterns)) {
          const found = series.map((one) => one[label] ?? '');
          for (const choice of pattern.split('|'))
            expect(
              found.some((value) => new RegExp(`^(?:${choice})$`).test(value)),
              `${panel}: ${choice}`,
            ).toBe(true);
        }
      }
    }
  });

  test('show every metric of clickledger', async () => {
    const names = await ask<string[]>('label/__name__/values', {});
    const shown = new Set(expressions.flatMap(({ expr }) => selectorsOf(expr).map(({ metric }) => metric.replace(/_bucket$/, ''))));
    const own = new Set(names.filter((name) => name.startsWith('clickledger_')).map((name) => name.replace(/_(?:bucket|sum|count)$/, '')));
    expect(own.size).toBeGreaterThan(50);
    expect([...own].filter((name) => !shown.has(name)).toSorted()).toEqual(NOT_SHOWN.toSorted());
  });
});

test('descriptions name only alarms that there are', async () => {
  const alarms = (await readAlerts()).map(({ alert }) => alert.replace('Clickledger', ''));
  const named = panels.flatMap(({ description = '' }) => Array.from(description.matchAll(/\b(?:[A-Z][a-z]+){2,}\b/g), ([name]) => name));
  expect(named.length).toBeGreaterThan(10);
  for (const name of named) if (name !== 'JetStream') expect(alarms).toContain(name);
});
