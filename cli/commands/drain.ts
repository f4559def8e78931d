import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { type Config, parseConfig, type SettingName } from '../../core/config.ts';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { DRAIN_SETTINGS, startDraining, stopDraining, waitForStop } from '../../operating/drain.ts';
import { findLogs } from '../../operating/find-logs.ts';
import { findMissing, type MissingBytes, prepareShipment, shipAll } from '../../operating/ship-logs.ts';
import { configOf, environmentOf, type GlobalOptions, throwExplained } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

const HELP = `
Run it on the host of nginx, with the settings of its agent. Three things happen one after the other:
  1. /healthz answers 503. nginx goes on serving, so that the load balancer can take the host out.
  2. After the time of --after, nginx/start.sh stops nginx, and does not start it again.
  3. The command publishes what is not counted yet, whether the agent runs or not, and waits until all shards have all lines.
Exit code 0: every hit of this host is counted, and the host can be removed. 1: it cannot; the output says what is missing. The command can be
run again at any time, and continues.

With --json, it prints { removable, missing, not_read }: missing has gen, shard, size, missing_bytes and holes of logs; not_read has the name of
each file in the log directory that is no log, and what it is.

Examples:
  clickledger drain --data /etc/clickledger/agent
  clickledger drain --after 3600
  clickledger drain --undo`;

interface Options {
  after: number;
  logs?: string;
  nginxStopped?: true;
  undo?: true;
}

export function addDrain(program: Command): void {
  program
    .command('drain')
    .description('take a host of nginx out of service, and wait until all its hits are counted')
    .option('--after <seconds>', 'stop nginx after this time; it must be longer than the load balancer needs to notice', parseSeconds, 90)
    .option('--logs <directory>', 'the log directory (default: LOG_DIR)')
    .option('--nginx-stopped', 'do not wait for nginx/start.sh, because you have stopped nginx yourself')
    .option('--undo', 'put the host into service again')
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      await (options.undo ? undo(options, command) : drain(options, command)).catch(throwExplained);
    });
}

/** Parses the settings. The option --logs takes the place of LOG_DIR. */
async function settingsOf<N extends SettingName>(command: Command, names: readonly N[], { logs }: Options): Promise<Config<N>> {
  return logs === undefined ? configOf(command, names) : parseConfig(names, { ...(await environmentOf(command)), LOG_DIR: logs });
}

async function undo(options: Options, command: Command): Promise<void> {
  const { LOG_DIR } = await settingsOf(command, ['LOG_DIR'], options);
  const was = await stopDraining(LOG_DIR);
  if (command.optsWithGlobals<GlobalOptions>().json) printJson({ was_draining: was });
  else
    note(
      was ? 'the host is in service again; if nginx had stopped, nginx/start.sh starts it within a second' : 'the host was not draining',
    );
}

async function drain(options: Options, command: Command): Promise<void> {
  const { after, nginxStopped } = options;
  const json = command.optsWithGlobals<GlobalOptions>().json ?? false;
  const config = await settingsOf(command, DRAIN_SETTINGS, options);
  const { signal } = handleStopSignals(createLogger('drain', 'silent'));
  const stopAtMs = await startDraining(config.LOG_DIR, after);
  if (!nginxStopped) {
    note(`/healthz answers 503; nginx stops at ${new Date(stopAtMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`);
    const stopped = await waitForStop(config.LOG_DIR, stopAtMs, signal, (seconds) => showOnTerminal(`nginx stops in ${seconds} s`));
    if (!stopped) return interrupted();
    note('nginx has stopped');
  }
  const { paths, foreign } = await findLogs(config.LOG_DIR);
  // If somebody else has stopped nginx, a log that was just written to may mean that nginx still runs.
  const shipment = await prepareShipment(config, paths, signal, nginxStopped ? undefined : 0);
  let missing: MissingBytes[];
  try {
    if (shipment.logs.generations.length > 0)
      await shipAll(shipment, signal, (left) => showOnTerminal(`${left ?? '?'} bytes are not counted yet`));
    missing = await findMissing(
      shipment,
      config.SHARDS.list.map(({ name }) => name),
    );
  } finally {
    await shipment.logs.close();
    await shipment.close();
  }
  if (signal.aborted) interrupted();
  const removable = missing.length === 0 && foreign.length === 0;
  if (!removable) process.exitCode = 1;
  if (json) return printJson({ removable, missing, not_read: foreign });
  if (missing.length > 0)
    printTable(
      ['generation', 'shard', 'bytes', 'missing bytes', 'holes'],
      missing.map((m) => [m.gen, m.shard, m.size, m.missing_bytes, m.holes]),
    );
  if (foreign.length > 0) {
    note('These files in the log directory are no logs. If they hold hits, unpack them elsewhere, and run `clickledger ship`:');
    printTable(
      ['file', 'what it is'],
      foreign.map(({ name, what }) => [name, what]),
    );
  }
  note(removable ? 'done: every hit of this host is counted, and the host can be removed' : 'the host cannot be removed yet');
}

function interrupted(): void {
  note('stopped waiting; the host still drains. Run the command again to continue, or with --undo to put the host into service again');
  process.exitCode = 1;
}

function showOnTerminal(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}\r`);
}

function parseSeconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of seconds.');
  return Number(text);
}
