import { join } from 'node:path';
import type { Command } from 'commander';
import { untilSignal } from '../../core/shutdown.ts';
import { createLogger } from '../../core/log.ts';
import { parseLine } from '../../log-agent/parse.ts';
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
      const { default: TailFile } = await import('tail-file');
      const path = join(config.LOG_DIR, 'access.log');
      const { stopped } = untilSignal(createLogger('watch', 'silent'));
      const tail = new TailFile(path, { force: true });
      tail.on('line', (line: string) => {
        const parsed = parseLine(line);
        if (!('hit' in parsed)) return;
        const { t, kind, slug, link, head } = parsed.hit;
        const time = new Date(t).toISOString();
        if (json) process.stdout.write(`${JSON.stringify({ time, kind, slug, link, head })}\n`);
        else
          process.stdout.write(
            `${dim(time.slice(11, 23))}  ${bold(kind.padEnd(5))}  ${slug}${link ? dim(`  link ${link.split('.')[0]}`) : ''}${head ? dim('  HEAD') : ''}\n`,
          );
      });
      tail.on('error', (error: Error) => note(error.message));
      await tail.startP();
      note(`watching ${path} (Ctrl-C ends it)`);
      await stopped;
      await tail.stop();
    });
}
