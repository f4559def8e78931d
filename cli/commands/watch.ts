import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { watchLog } from '../../operating/watch-log.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { note } from '../output.ts';
import { bold, dim } from '../style.ts';

export function addWatch(program: Command): void {
  program
    .command('watch')
    .description('show hits while nginx logs them; only for display, it counts nothing')
    .addHelpText(
      'after',
      '\nReads access.log in LOG_DIR, so run it on the machine of nginx. It may miss lines at a log rotation.\n\nExample:\n  clickledger watch',
    )
    .action(async (_options: object, command: Command) => {
      const { json } = command.optsWithGlobals<GlobalOptions>();
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
      note(`watching ${watching.path}; stop with Ctrl-C`);
      await stopped;
      await watching.stop();
    });
}
