import { join, resolve } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { createPool, explainDatabaseError, type Pool } from '../../core/postgres.ts';
import { VERDICTS } from '../../core/rules.ts';
import { shardUrl } from '../../core/shards.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { explainFileError } from '../../core/files.ts';
import { openDirectory } from '../../export/directory.ts';
import { findCampaigns } from '../../export/find-campaigns.ts';
import { openExport } from '../../export/open-export.ts';
import { type ExportRun, followExport, runExport } from '../../export/run-export.ts';
import { openS3 } from '../../export/s3.ts';
import type { Storage } from '../../export/storage.ts';
import { EVENT_KINDS } from '../../feed/filter.ts';
import { lockPath } from '../../stack/lock.ts';
import { configOf, type GlobalOptions, timeOf } from '../context.ts';
import { note, printJson } from '../output.ts';
import { listOf, wholeNumber } from './filter-options.ts';

// The command `export`: writes events into Parquet files, in a directory or a bucket.

interface Options {
  to: string;
  kind?: string;
  campaign?: string[];
  verdict?: string;
  from?: string;
  withAddresses?: true;
  wait: number;
  follow?: true;
  every: number;
  rows: number;
}

const HELP = `
The first export decides the filter: --kind, --campaign, --verdict, --from, --with-addresses. Later exports to the same place continue with it, and
add only what is new. Each event is in the export once, also after a crash or after a database was restored. The file manifest.json lists the
files. docs/export.md describes them, and shows how DuckDB and others read them.

A click is exported when it is as old as --wait, because until then it may turn out to be part of a burst of a machine. If its verdict changes
later, the table verdict_changes gets a row.

Examples:
  clickledger export --to ./export
  clickledger export --to s3://warehouse/newsletters --follow
  clickledger export --to ./people --verdict human,unsure --kind click --from 2026-01-01`;

export function addExport(program: Command): void {
  program
    .command('export')
    .description('export events as Parquet files, for DuckDB, ClickHouse, Spark and others')
    .requiredOption('--to <place>', 'a directory, or s3://bucket/prefix')
    .option('--kind <kinds>', `only these kinds, separated by commas: ${EVENT_KINDS.join(', ')} (default: all)`)
    .option('--campaign <name...>', 'only events of these campaigns, by name or number (default: all)')
    .option('--verdict <verdicts>', 'only hits with these verdicts, separated by commas, e.g. human,unsure; any: all (default: any)')
    .option('--from <when>', 'leave out earlier events; everything: none (default: everything)')
    .option('--with-addresses', 'export mail address and external id of recipients, too')
    .option('--wait <seconds>', 'the age that a click must have', wholeNumber(0, 86_400), 60)
    .option('--follow', 'go on until the command is stopped')
    .option('--every <seconds>', 'with --follow: the time between two exports', wholeNumber(1, 86_400), 60)
    .option('--rows <number>', 'the number of rows after which files are finished and listed', wholeNumber(1, 100_000_000), 1_000_000)
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      collectOften();
      const config = await configOf(command, ['ANALYST_URL', 'SHARDS', 'LOG_LEVEL']);
      const catalog = createPool(config.ANALYST_URL, { max: 1, name: 'export' });
      const pools = config.SHARDS.list.map((shard) => ({
        name: shard.name,
        pool: createPool(shardUrl(shard, config.ANALYST_URL), { max: 1, name: 'export' }),
      }));
      try {
        const wanted = await wantedFilter(command, options, catalog);
        await withStorage(command, options.to, async (storage) => {
          const target = await openExport({ storage, shards: config.SHARDS.fingerprint, wanted, allKinds: [...EVENT_KINDS] });
          const run: ExportRun = { target, shards: pools, catalog, waitMs: options.wait * 1000, setRows: options.rows, onCommit: () => {} };
          if (options.follow) await follow(run, options.every * 1000, config.LOG_LEVEL);
          else await once(run, command);
        });
      } catch (error) {
        throw error instanceof ClickledgerError ? error : (explainFileError(error) ?? explainDatabaseError(error));
      } finally {
        await Promise.all([catalog.end(), ...pools.map(({ pool }) => pool.end())]);
      }
    });
}

async function once(run: ExportRun, command: Command): Promise<void> {
  const isJson = command.optsWithGlobals<GlobalOptions>().json === true;
  const number = (count: number): string => count.toLocaleString('en');
  const result = await runExport({
    ...run,
    onCommit: ({ shard, rows, files, bytes }) => {
      if (!isJson && rows > 0) note(`shard ${shard}: ${number(rows)} rows in ${number(files)} files, ${number(bytes)} bytes`);
    },
  });
  const { name } = run.target.storage;
  if (isJson) return printJson({ to: name, rows: result.rows, files: result.files, bytes: result.bytes, due_bytes: result.dueBytes });
  note(`${name}: ${number(result.rows)} new rows in ${number(result.files)} files`);
  if (result.dueBytes > 0) note(`${number(result.dueBytes)} bytes of the logs have clicks that are too young; the next export has them`);
}

async function follow(run: ExportRun, everyMs: number, level: string): Promise<void> {
  const log = createLogger('export', level);
  const { signal } = handleStopSignals(log);
  log.info({ to: run.target.storage.name }, 'exporting');
  await followExport({
    ...run,
    everyMs,
    log,
    signal,
    onCommit: (committed) => {
      if (committed.rows > 0) log.info(committed, 'exported');
    },
  });
}

/** Opens the place of an export, and closes it after `work`. */
async function withStorage(command: Command, to: string, work: (storage: Storage) => Promise<void>): Promise<void> {
  if (!to.startsWith('s3:')) {
    const directory = resolve(to);
    await mkdir(directory, { recursive: true });
    const lock = await lockPath(
      join(directory, '.lock'),
      (pid) => `another export writes to ${directory} (process ${pid}): wait until it ends, or stop it`,
    );
    try {
      await work(await openDirectory(directory));
    } finally {
      await lock.release();
    }
    return;
  }
  const config = await configOf(command, [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_REGION',
    'AWS_ENDPOINT_URL',
    'S3_PATH_STYLE',
  ]);
  const storage = await openS3(to, {
    accessKeyId: config.AWS_ACCESS_KEY_ID,
    secretAccessKey: config.AWS_SECRET_ACCESS_KEY,
    sessionToken: config.AWS_SESSION_TOKEN,
    region: config.AWS_REGION,
    endpoint: config.AWS_ENDPOINT_URL,
    isPathStyle: config.S3_PATH_STYLE,
  });
  if (!storage.isConditional) note('this server has no conditional PUT: make sure that only one export writes to this place');
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

async function wantedFilter(command: Command, options: Options, catalog: Pool) {
  const { kind, campaign, verdict, from } = options;
  return {
    kinds: kind === undefined ? undefined : listOf(kind, EVENT_KINDS, '--kind'),
    campaigns: campaign === undefined ? undefined : await findCampaigns(catalog, campaign),
    verdicts: verdict === undefined ? undefined : verdict === 'any' ? null : listOf(verdict, VERDICTS, '--verdict'),
    from: from === undefined ? undefined : from === 'everything' ? null : (await timeOf(command, from)).at.toISOString(),
    with_addresses: options.withAddresses,
  };
}

/** Makes V8 collect garbage often. By default, the heap grows to several hundred MiB, although rows are garbage as soon as they are encoded. */
function collectOften(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
}
