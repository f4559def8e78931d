import { createPart } from '../core/part.ts';
import { orUndefinedAfter } from '../core/time.ts';
import { closeDesk, createDesk } from './app.ts';
import { deskHealth } from './health.ts';
import { createDeskMetrics } from './metrics.ts';
import { API_SETTINGS, createPools, PAGE_SETTINGS } from './pools.ts';
import { findSignInProblem, TEAM_SETTINGS } from './team/settings.ts';

// The desk: the web server for people and programs.
//
// browser ──► pages ──► the catalog as the analyst. Program ──► API ──► the catalog as the author, or as the analyst for reports.

/** The longest time that a report may take. */
const REPORT_SECONDS = 60;
const STOP_MS = 5_000;

const part = createPart('desk', [...PAGE_SETTINGS, ...API_SETTINGS, ...TEAM_SETTINGS, 'DESK_HOST', 'DESK_PORT'], process.env);
const { config, log, registry, stopped } = part;

const metrics = createDeskMetrics(registry);
const pools = createPools(config, REPORT_SECONDS);
const own = { config, author: pools.author, keys: pools.keys };
const team = { pool: pools.keys, config };
const app = createDesk({
  pool: pools.analyst,
  host: config.DESK_HOST,
  timeoutSeconds: REPORT_SECONDS,
  zone: config.TIMEZONE || 'UTC',
  countUnsure: config.COUNT_UNSURE,
  goalDays: config.GOAL_DAYS,
  refreshSeconds: 10,
  team,
  author: own,
  api: { ...own, analystUrl: config.ANALYST_URL, log },
  onAnswered: metrics.recordRequest,
  onError: (err) => log.error({ err }, 'a request failed'),
});

let serving = false;
const admin = await part.serveAdmin(() => deskHealth([pools.keys, pools.analyst], serving));
await app.listen({ host: config.DESK_HOST, port: config.DESK_PORT });
serving = true;
log.info({ host: config.DESK_HOST, port: config.DESK_PORT }, 'serving pages and the API');
const problem = await findSignInProblem(config.DESK_HOST, team);
if (problem !== undefined) log.warn(problem);

await stopped;
serving = false;
await closeDesk(app);
admin?.close();
// A query at a shard that hangs would keep the process for minutes.
await orUndefinedAfter(pools.end(), STOP_MS);
process.exit();
