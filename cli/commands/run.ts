import { type Command, Argument } from 'commander';
import { environmentOf } from '../context.ts';

const PARTS = {
  backend: () => import('../../backend/main.ts'),
  agent: () => import('../../log-agent/main.ts'),
  worker: () => import('../../event-worker/main.ts'),
  relay: () => import('../../relay/main.ts'),
  desk: () => import('../../desk/main.ts'),
  forwarder: () => import('../../forwarder/main.ts'),
} as const;

export function addRun(program: Command): void {
  program
    .command('run')
    .description('run one part in the foreground, with the settings of the environment and of <data>/env')
    .addArgument(new Argument('<part>', 'the part').choices(Object.keys(PARTS)))
    .addHelpText('after', '\nExample:\n  PORT=3001 STATE_DIR=/var/lib/clickledger/backend-1 clickledger run backend')
    .action(async (part: keyof typeof PARTS, _options: object, command: Command) => {
      Object.assign(process.env, await environmentOf(command));
      try {
        await PARTS[part]();
      } catch (error) {
        // A part that cannot start must end, so that its supervisor starts it again. Its admin server would keep this process alive. The
        // error is reported first.
        setImmediate(() => process.exit());
        throw error;
      }
    });
}
