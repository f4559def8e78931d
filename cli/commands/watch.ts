import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { watchLog } from '../../operating/watch-log.ts';
import { configOf, type Globals } from '../context.ts';
import { bold, dim, note } from '../output.ts';

export function addWatch(program: Command): void {
  program
    .command('watch')
    .description('show hits as nginx logs them, for a person to look at (counting never depends on this)')
    .addHelpText('after', '\nExample:\n  clickledger watch')
    .action(async (_options: object, command: Command) => {
      const { json } = command.optsWithGlobals<Globals>();
      const config = await configOf(command, ['LOG_DIR']);
      const { stopped } = handleStopSignals(createLogger('watch', 'silent'));
      const watching = await watchLog(
        config.LOG_DIR,
        ({ t, kind, slug, link, head }) => {
          const time = new Date(t).toISOString();
          if (json) process.stdout.write(`${JSON.stringify({ time, kind, slug, link, head })}\n`);
          else
            process.stdout.write(
              `${dim(time.slice(11, 23))}  ${bold(kind.padEnd(5))}  ${slug}${link ? dim(`  link ${link.split('.')[0]}`) : ''}${head ? dim('  HEAD') : ''}\n`,
            );
        },
        (error) => note(error.message),
      );
      note(`watching ${watching.path} (Ctrl-C ends it)`);
      await stopped;
      await watching.stop();
    });
}
