import { env } from 'node:process';
import { Command, CommanderError } from 'commander';
import { ClickledgerError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';

// Creates the program with its global options and commands, and runs it.

/**
 * The commands, in the order of the help. Only the command that runs is loaded. Loading all commands takes more time and memory than most
 * commands need.
 */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  up: async () => (await import('./commands/up.ts')).addUp,
  init: async () => (await import('./commands/init.ts')).addInit,
  migrate: async () => (await import('./commands/migrate.ts')).addMigrate,
  run: async () => (await import('./commands/run.ts')).addRun,
  campaign: async () => (await import('./commands/campaign.ts')).addCampaign,
  url: async () => (await import('./commands/url.ts')).addUrl,
  pixel: async () => (await import('./commands/url.ts')).addPixel,
  prepare: async () => (await import('./commands/prepare.ts')).addPrepare,
  send: async () => (await import('./commands/send.ts')).addSend,
  link: async () => (await import('./commands/link.ts')).addLink,
  site: async () => (await import('./commands/site.ts')).addSite,
  recipient: async () => (await import('./commands/recipient.ts')).addRecipient,
  report: async () => (await import('./commands/report.ts')).addReport,
  schedule: async () => (await import('./commands/schedule.ts')).addSchedule,
  why: async () => (await import('./commands/why.ts')).addWhy,
  dashboard: async () => (await import('./commands/dashboard.ts')).addDashboard,
  subscription: async () => (await import('./commands/subscription.ts')).addSubscriptionCommand,
  export: async () => (await import('./commands/export.ts')).addExport,
  key: async () => (await import('./commands/key.ts')).addKey,
  user: async () => (await import('./commands/user.ts')).addUser,
  reclassify: async () => (await import('./commands/reclassify.ts')).addReclassify,
  status: async () => (await import('./commands/status.ts')).addStatus,
  watch: async () => (await import('./commands/watch.ts')).addWatch,
  audit: async () => (await import('./commands/audit.ts')).addAudit,
  drain: async () => (await import('./commands/drain.ts')).addDrain,
  ship: async () => (await import('./commands/ship.ts')).addShip,
  restored: async () => (await import('./commands/restored.ts')).addRestored,
  shard: async () => (await import('./commands/shard.ts')).addShard,
};

/**
 * Runs the command in `args`, and sets the exit code of this process: 1 if the command failed, 2 after a wrong usage. Any other error is a bug,
 * and rejects.
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = await createProgram(commandOf(args));
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else if (error instanceof ClickledgerError) {
      note(`clickledger: ${error.message}`);
      process.exitCode = 1;
    } else {
      throw error;
    }
  }
}

/**
 * Creates the program. With `name`, it has only this command, otherwise all of them. A wrong usage and the help throw a CommanderError when the
 * program parses its arguments.
 */
export async function createProgram(name?: string): Promise<Command> {
  const program = new Command('clickledger')
    .description('Counts newsletter clicks and opens exactly once, straight from the nginx access log.')
    .version(VERSION)
    .option('--data <directory>', 'the data directory; its file env has the settings', env['CLICKLEDGER_DATA'] ?? '.clickledger')
    .option('--json', 'print JSON')
    .showHelpAfterError('(--help shows the usage)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(text.split('\n').map(printable).join('\n')) })
    .exitOverride();
  for (const [each, load] of Object.entries(COMMANDS)) if (name === undefined || name === each) (await load())(program);
  return program;
}

/** Returns the name of the command in `args`. Returns undefined for the help and for wrong usage, because both need all commands. */
function commandOf(args: readonly string[]): string | undefined {
  const first = args.findIndex((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--data');
  const isHelp = args.slice(0, first).some((arg) => arg === '--help' || arg === '-h');
  const name = args[first];
  return name !== undefined && !isHelp && Object.hasOwn(COMMANDS, name) ? name : undefined;
}
