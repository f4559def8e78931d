import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { sleep } from '../../core/time.ts';
import { configOf, type Globals } from '../context.ts';
import { bold, note, printJson, table } from '../output.ts';
import { largest, type PartStatus } from '../../operating/status/parts.ts';
import { readStatus, type Status, STATUS_SETTINGS } from '../../operating/status/read-status.ts';
import type { Trouble } from '../../operating/status/trouble.ts';

const EVERY_MS = 2_000;
/** Neither 1, for an error, nor 2, for wrong usage. */
const SOMETHING_IS_WRONG = 3;
const TO_THE_TOP_AND_CLEAR = '\x1b[H\x1b[J';

const HELP = `
Parts are asked where PARTS says, NATS and the shards as the analyst. Exit code 0: all is well; 3: something is wrong, and the
last lines say what, and what to do; 1: the settings cannot be used.

--json prints { at, ok, parts, stream, shards, problems }, with null for what is not known:
  parts     name, answers, part, version, ready, degraded (codes), unshipped_bytes, oldest_unshipped_seconds, log_disk_free_bytes,
            log_disk_size_bytes (agents), links, links_age_seconds (backends)
  stream    answers, messages, bytes, limit_bytes
  shards    shard, answers, waiting_messages, waiting_bytes, last_commit, generations, committed_bytes, missing_bytes, holes,
            dead_letters, dead_letters_last_day, judge_delay_seconds, waiting_marks, database_bytes, database_disk_free_bytes
            (always null: Postgres does not tell)
  problems  where, code, about, what, mend
With --watch: one such object a line.

Examples:
  clickledger status
  clickledger status --watch
  clickledger status --json || mail -s "clickledger" ops@example.org < /dev/null`;

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('the whole line: parts, stream, shards; what is wrong, and what to do about it')
    .option('--watch', 'again every 2 seconds, in place on a terminal, else a line each; Ctrl-C ends it')
    .addHelpText('after', HELP)
    .action(async (options: { watch?: true }, command: Command) => {
      const json = command.optsWithGlobals<Globals>().json ?? false;
      const config = await configOf(command, STATUS_SETTINGS);
      if (config.PARTS.length === 0) note('PARTS is not set, so no part is asked');
      if (!options.watch) {
        const status = await readStatus(config);
        if (json) printJson(status);
        else process.stdout.write(page(status));
        if (!status.ok) process.exitCode = SOMETHING_IS_WRONG;
        return;
      }
      const { signal } = handleStopSignals(createLogger('status', 'silent'));
      while (!signal.aborted) {
        const status = await readStatus(config);
        if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
        else if (process.stdout.isTTY) process.stdout.write(`${TO_THE_TOP_AND_CLEAR}${line(status)}\n\n${page(status)}`);
        else process.stdout.write(`${line(status)}\n`);
        process.exitCode = status.ok ? 0 : SOMETHING_IS_WRONG;
        await sleep(EVERY_MS, signal);
      }
    });
}

/** Everything, for a person. */
function page(status: Status): string {
  const { parts, stream, shards } = status;
  const tables = [
    table(
      ['part', 'state', 'not shipped', 'oldest', 'disk left', 'links', 'catalog seen'],
      parts.map((p) => [
        p.name,
        stateOf(p),
        bytes(p.unshipped_bytes),
        duration(p.oldest_unshipped_seconds),
        disk(p),
        p.links,
        p.links_age_seconds === null ? null : `${duration(p.links_age_seconds)} ago`,
      ]),
    ),
    table(
      ['stream', 'batches', 'size', 'full'],
      [
        [
          stream.answers ? (stream.messages === null ? 'missing' : 'ok') : 'silent',
          stream.messages,
          bytes(stream.bytes),
          stream.bytes === null || !stream.limit_bytes ? null : `${Math.round((100 * stream.bytes) / stream.limit_bytes)} %`,
        ],
      ],
    ),
    table(
      ['shard', 'database', 'batches waiting', 'newest commit', 'logs', 'missing', 'holes', 'dead letters', 'judged', 'size'],
      shards.map((s) => [
        s.shard,
        s.answers ? 'ok' : 'silent',
        s.waiting_messages === null ? null : `${s.waiting_messages} (${bytes(s.waiting_bytes)})`,
        s.last_commit?.toISOString().slice(0, 19).replace('T', ' '),
        s.generations,
        bytes(s.missing_bytes),
        s.holes,
        s.dead_letters,
        s.judge_delay_seconds === null ? null : `${duration(s.judge_delay_seconds)} ago`,
        bytes(s.database_bytes),
      ]),
    ),
    status.ok ? 'all is well' : `${bold('wrong:')}\n${troubles(status.problems)}`,
  ];
  return `${tables.join('\n\n')}\n`;
}

function stateOf(part: PartStatus): string {
  if (!part.answers) return 'silent';
  if (!part.ready) return 'not ready';
  return part.degraded.length === 0 ? 'ok' : 'degraded';
}

/** The same trouble of several is told once. */
function troubles(problems: readonly Trouble[]): string {
  const places = new Map<string, string[]>();
  for (const { where, about, what, mend } of problems) {
    const text = `${what}\n    → ${mend}`;
    places.set(text, [...(places.get(text) ?? []), about === null ? where : `${where}, ${about}`]);
  }
  return Array.from(places, ([text, where]) => `  ${where.join('; ')}: ${text}`).join('\n');
}

/** The least that tells how it goes, for a log. */
function line({ at, ok, parts, stream, shards, problems }: Status): string {
  const words = [
    at.toISOString().replace(/\.\d+/, ''),
    ok ? 'ok' : `wrong: ${[...new Set(problems.map(({ where, code }) => `${where} ${code}`))].join(', ')};`,
    `${bytes(largest(parts.map((part) => part.unshipped_bytes))) ?? '?'} not shipped,`,
    `oldest ${duration(largest(parts.map((part) => part.oldest_unshipped_seconds))) ?? '?'},`,
    `${stream.messages ?? '?'} batches in the stream,`,
    `${bytes(sum(shards.map((shard) => shard.missing_bytes))) ?? '?'} missing,`,
    `${sum(shards.map((shard) => shard.dead_letters)) ?? '?'} dead letters`,
  ];
  return words.join(' ');
}

/** Null if any is unknown. */
function sum(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((total, value) => (total === null || value === null ? null : total + value), 0);
}

function disk({ log_disk_free_bytes: free, log_disk_size_bytes: size }: PartStatus): string | null {
  return free === null || !size ? null : `${bytes(free)} (${Math.round((100 * free) / size)} %)`;
}

/** To three digits, in the units that disks are sold in. */
function bytes(count: number | null): string | null {
  if (count === null) return null;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  return `${power === 0 ? count : Number((count / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

function duration(seconds: number | null): string | null {
  if (seconds === null) return null;
  if (!Number.isFinite(seconds)) return 'ever';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
