import { type Command, InvalidArgumentError } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { createPool } from '../../core/postgres.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { configOf } from '../context.ts';
import { note } from '../output.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

/** The maximum number of database connections. A page uses two at a time, so this number is enough for a few users. */
const CONNECTIONS = 8;
/** The server cancels a statement at its timeout. If the server still does not answer after this additional time, the query fails. */
const GRACE_MS = 5_000;

export function addDashboard(program: Command): void {
  program
    .command('dashboard')
    .description('show campaigns and reports in a browser, updated every 10 seconds; read-only, with the rights of the analyst')
    .option('--port <port>', 'the port to listen on; 0 selects a free port', parsePort, 8090)
    .option('--host <address>', 'the address to listen on; everyone who can reach it can read every report', '127.0.0.1')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .addHelpText('after', '\nExample:\n  clickledger dashboard --port 8090')
    .action(async ({ port, host, timeout }: { port: number; host: string; timeout: number }, command: Command) => {
      const config = await configOf(command, ['ANALYST_URL', 'TIMEZONE', 'COUNT_UNSURE', 'GOAL_DAYS']);
      const { createDashboard } = await import('../../desk/app.ts');
      const { stopped } = handleStopSignals(createLogger('dashboard', 'silent'));
      const pool = createPool(config.ANALYST_URL, { max: CONNECTIONS, name: 'dashboard', queryTimeoutMs: timeout * 1000 + GRACE_MS });
      const app = createDashboard({
        pool,
        host,
        timeoutSeconds: timeout,
        zone: config.TIMEZONE || 'UTC',
        countUnsure: config.COUNT_UNSURE,
        goalDays: config.GOAL_DAYS,
        refreshSeconds: 10,
        onError: (error) => note(String(error)),
      });
      try {
        const address = await app.listen({ port, host }).catch((error: unknown) => throwExplained(error, host, port));
        process.stdout.write(`${address}\n`);
        if (!/^(?:localhost|127\..*|::1)$/.test(host)) note('everyone who can reach this address can read every report');
        note('Press Ctrl-C to stop the dashboard.');
        await stopped;
      } finally {
        await app.close();
        await pool.end();
      }
    });
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('It must be a number from 0 to 65535.');
  return port;
}

function throwExplained(error: unknown, host: string, port: number): never {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program uses this port: choose another one with --port',
    EACCES: 'only root may use this port: choose one above 1023 with --port',
    EADDRNOTAVAIL: 'this machine does not have this address: choose another one with --host',
    ENOTFOUND: 'this host name is unknown: choose another one with --host',
  };
  const reason = reasons[codeOf(error) ?? ''];
  throw reason === undefined ? error : new ClickledgerError('bad-input', `cannot listen on ${host}:${port}: ${reason}`, { cause: error });
}
