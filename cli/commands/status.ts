import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { sleep } from '../../core/time.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { note, printJson, table } from '../output.ts';
import { bold } from '../style.ts';
import { largest, type PartStatus } from '../../operating/status/parts.ts';
import { readStatus, type Status, STATUS_SETTINGS } from '../../operating/status/read-status.ts';
import type { StatusProblem } from '../../operating/status/status-problem.ts';

const INTERVAL_MS = 2_000;
/** The exit code if there are problems. The exit code of an error is 1, and the exit code of wrong usage is 2. */
const EXIT_PROBLEMS = 3;
const HOME_AND_CLEAR = '\x1b[H\x1b[J';

const HELP = `
Reads /healthz and /metrics of each part in PARTS, and NATS and the databases with the rights of the analyst.
Exit code 0: all is well. 3: there are problems; the last lines show them and what to do. 1: the settings are invalid.

--json prints { at, ok, parts, stream, shards, databases, problems }. A value that is not known is null:
  parts     name, answers, part, version, ready, degraded (codes), unshipped_bytes, oldest_unshipped_seconds, log_disk_free_bytes,
            log_disk_size_bytes, mirror_lag_bytes (agents), links, links_age_seconds (backends),
            delivery_lag_seconds, undelivered_bytes (forwarders)
  stream    answers, messages, bytes, limit_bytes, replicas, current_replicas, leader (in a cluster)
  shards    shard, answers, waiting_messages, waiting_bytes, last_commit, generations, committed_bytes, missing_bytes, holes,
            dead_letters, dead_letters_last_day, judge_delay_seconds, unjudged_hits, folded_hits, database_bytes,
            database_disk_free_bytes (always null: Postgres does not show it to the analyst)
  databases host, state (primary, standby or silent), behind_bytes: the servers of databases with several hosts
  problems  where, code, about, what, mend (what to do)
With --watch, each line is one such object.

Examples:
  clickledger status
  clickledger status --watch
  clickledger status --json || mail -s "clickledger" ops@example.org < /dev/null`;

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('show the state of all parts, of the stream and of the shards; the problems, and what to do about them')
    .option('--watch', 'repeat every 2 seconds until Ctrl-C: in place on a terminal, otherwise one line each')
    .addHelpText('after', HELP)
    .action(async (options: { watch?: true }, command: Command) => {
      const json = command.optsWithGlobals<GlobalOptions>().json ?? false;
      const config = await configOf(command, STATUS_SETTINGS);
      if (config.PARTS.length === 0) note('PARTS is not set, so the state of the parts is not shown');
      if (!options.watch) {
        const status = await readStatus(config);
        if (json) printJson(status);
        else process.stdout.write(formatPage(status));
        if (!status.ok) process.exitCode = EXIT_PROBLEMS;
        return;
      }
      const { signal } = handleStopSignals(createLogger('status', 'silent'));
      while (!signal.aborted) {
        const status = await readStatus(config);
        if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
        else if (process.stdout.isTTY) process.stdout.write(`${HOME_AND_CLEAR}${formatLine(status)}\n\n${formatPage(status)}`);
        else process.stdout.write(`${formatLine(status)}\n`);
        process.exitCode = status.ok ? 0 : EXIT_PROBLEMS;
        await sleep(INTERVAL_MS, signal);
      }
    });
}

/** Formats the whole status as tables, with the problems at the end. */
function formatPage(status: Status): string {
  const { parts, stream, shards, databases } = status;
  const tables = [
    table(
      ['part', 'state', 'not shipped', 'oldest', 'disk free', 'not copied', 'links', 'catalog read', 'delivery lag'],
      parts.map((p) => [
        p.name,
        stateOf(p),
        formatBytes(p.unshipped_bytes),
        formatDuration(p.oldest_unshipped_seconds),
        formatDisk(p),
        formatBytes(p.mirror_lag_bytes),
        p.links,
        formatAge(p.links_age_seconds),
        formatDuration(p.delivery_lag_seconds),
      ]),
    ),
    table(
      ['stream', 'batches', 'size', 'full', 'replicas', 'leader'],
      [
        [
          stream.answers ? (stream.messages === null ? 'missing' : 'ok') : 'silent',
          stream.messages,
          formatBytes(stream.bytes),
          stream.bytes === null || !stream.limit_bytes ? null : `${Math.round((100 * stream.bytes) / stream.limit_bytes)} %`,
          stream.replicas === null ? null : `${stream.current_replicas} of ${stream.replicas}`,
          stream.leader,
        ],
      ],
    ),
    table(
      ['shard', 'database', 'batches waiting', 'last commit', 'logs', 'missing', 'holes', 'dead letters', 'judged', 'folded', 'size'],
      shards.map((s) => [
        s.shard,
        s.answers ? 'ok' : 'silent',
        s.waiting_messages === null ? null : `${s.waiting_messages} (${formatBytes(s.waiting_bytes)})`,
        s.last_commit?.toISOString().slice(0, 19).replace('T', ' '),
        s.generations,
        formatBytes(s.missing_bytes),
        s.holes,
        s.dead_letters,
        formatAge(s.judge_delay_seconds),
        s.folded_hits,
        formatBytes(s.database_bytes),
      ]),
    ),
    ...(databases.length === 0
      ? []
      : [
          table(
            ['database server', 'state', 'behind'],
            databases.map(({ host, state, behind_bytes: behind }) => [host, state, formatBytes(behind)]),
          ),
        ]),
    status.ok ? 'all is well' : `${bold('problems:')}\n${formatProblems(status.problems)}`,
  ];
  return `${tables.join('\n\n')}\n`;
}

function stateOf(part: PartStatus): string {
  if (!part.answers) return 'silent';
  if (!part.ready) return 'not ready';
  return part.degraded.length === 0 ? 'ok' : 'degraded';
}

/**
 * Formats the problems, with one entry for each problem. If several parts have the same problem, it is shown once, with the names of all
 * these parts.
 */
function formatProblems(problems: readonly StatusProblem[]): string {
  const places = new Map<string, string[]>();
  for (const { where, about, what, mend } of problems) {
    const text = `${what}\n    → ${mend}`;
    places.set(text, [...(places.get(text) ?? []), about === null ? where : `${where}, ${about}`]);
  }
  return Array.from(places, ([text, where]) => `  ${where.join('; ')}: ${text}`).join('\n');
}

/** Formats the status in one line, for a log. */
function formatLine({ at, ok, parts, stream, shards, problems }: Status): string {
  const phrases = [
    at.toISOString().replace(/\.\d+/, ''),
    ok ? 'ok' : `problems: ${[...new Set(problems.map(({ where, code }) => `${where} ${code}`))].join(', ')};`,
    `${formatBytes(largest(parts.map((part) => part.unshipped_bytes))) ?? '?'} not shipped,`,
    `oldest ${formatDuration(largest(parts.map((part) => part.oldest_unshipped_seconds))) ?? '?'},`,
    `${stream.messages ?? '?'} batches in the stream,`,
    `${formatBytes(sum(shards.map((shard) => shard.missing_bytes))) ?? '?'} missing,`,
    `${sum(shards.map((shard) => shard.dead_letters)) ?? '?'} dead letters`,
  ];
  return phrases.join(' ');
}

/** Returns the sum of the values, or null if any of them is unknown. */
function sum(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((total, value) => (total === null || value === null ? null : total + value), 0);
}

function formatDisk({ log_disk_free_bytes: free, log_disk_size_bytes: size }: PartStatus): string | null {
  return free === null || !size ? null : `${formatBytes(free)} (${Math.round((100 * free) / size)} %)`;
}

/** Formats a number of bytes with three digits and in decimal units, which are usual for disks: 1 kB is 1000 bytes. */
function formatBytes(count: number | null): string | null {
  if (count === null) return null;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  return `${power === 0 ? count : Number((count / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** Formats the time since a backend last read the catalog. The time is infinite if the backend has not read the catalog since its start. */
function formatAge(seconds: number | null): string | null {
  if (seconds === null) return null;
  return Number.isFinite(seconds) ? `${formatDuration(seconds)} ago` : 'never';
}

function formatDuration(seconds: number | null): string | null {
  if (seconds === null) return null;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
