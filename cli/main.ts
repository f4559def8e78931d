import { Command, CommanderError } from 'commander';
import { ClickledgerError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { endOnClosedPipe } from './closed-pipe.ts';
import { addAudit } from './commands/audit.ts';
import { addCampaign } from './commands/campaign.ts';
import { addDashboard } from './commands/dashboard.ts';
import { addInit } from './commands/init.ts';
import { addLink } from './commands/link.ts';
import { addMigrate } from './commands/migrate.ts';
import { addPrepare } from './commands/prepare.ts';
import { addRecipient } from './commands/recipient.ts';
import { addReclassify } from './commands/reclassify.ts';
import { addReport } from './commands/report.ts';
import { addRun } from './commands/run.ts';
import { addRestored } from './commands/restored.ts';
import { addShard } from './commands/shard.ts';
import { addShip } from './commands/ship.ts';
import { addStatus } from './commands/status.ts';
import { addUp } from './commands/up.ts';
import { addPixel, addUrl } from './commands/url.ts';
import { addWatch } from './commands/watch.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';

endOnClosedPipe();

const program = new Command('clickledger')
  .description('Counts newsletter clicks and opens exactly once, straight from the nginx access log.')
  .version(VERSION)
  .option('--data <directory>', 'the data directory; its file env has the settings', process.env['CLICKLEDGER_DATA'] ?? '.clickledger')
  .option('--json', 'print JSON')
  .showHelpAfterError('(--help shows the usage)')
  .configureHelp({ showGlobalOptions: true })
  .configureOutput({ outputError: (text, write) => write(text.split('\n').map(printable).join('\n')) })
  .exitOverride();

for (const add of [
  addUp,
  addInit,
  addMigrate,
  addRun,
  addCampaign,
  addUrl,
  addPixel,
  addPrepare,
  addLink,
  addRecipient,
  addReport,
  addDashboard,
  addReclassify,
  addStatus,
  addWatch,
  addAudit,
  addShip,
  addRestored,
  addShard,
])
  add(program);

try {
  await program.parseAsync();
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
