import { type Command, InvalidArgumentError } from 'commander';
import { parseConfig } from '../../core/config.ts';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { configOf, environmentOf } from '../context.ts';
import { note } from '../output.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

export function addDashboard(program: Command): void {
  program
    .command('dashboard')
    .description('show campaigns and reports in a browser, updated every 10 seconds, and serve the HTTP API, which needs keys')
    .option('--port <port>', 'the port to listen on; 0 selects a free port', parsePort, 8090)
    .option('--host <address>', 'the address to listen on; with another one than loopback, the pages need sign-in', '127.0.0.1')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .addHelpText('after', '\nExample:\n  clickledger dashboard --port 8090')
    .action(async ({ port, host, timeout }: { port: number; host: string; timeout: number }, command: Command) => {
      const { closeDesk, createDesk } = await import('../../desk/app.ts');
      const { API_SETTINGS, createAnalystPool, createAuthorPools, PAGE_SETTINGS } = await import('../../desk/pools.ts');
      const { findSignInProblem, isLoopback, TEAM_SETTINGS } = await import('../../desk/team/settings.ts');
      const config = await configOf(command, [...PAGE_SETTINGS, ...TEAM_SETTINGS]);
      // A person who has only the settings of an analyst gets the pages without the API.
      const environment = await environmentOf(command);
      const own = environment['AUTHOR_URL'] ? parseConfig(API_SETTINGS, environment) : undefined;
      const log = createLogger('dashboard', 'silent');
      const { stopped } = handleStopSignals(log);
      const pool = createAnalystPool(config.ANALYST_URL, timeout);
      const authorPools = own && createAuthorPools(own.AUTHOR_URL);
      const author = own && authorPools && { config: own, ...authorPools };
      const team = { pool: authorPools?.keys, config };
      const app = createDesk({
        pool,
        host,
        timeoutSeconds: timeout,
        zone: config.TIMEZONE || 'UTC',
        countUnsure: config.COUNT_UNSURE,
        goalDays: config.GOAL_DAYS,
        refreshSeconds: 10,
        team,
        author,
        api: author && { ...author, analystUrl: config.ANALYST_URL, log },
        onError: (error) => note(String(error)),
      });
      try {
        const address = await app.listen({ port, host }).catch((error: unknown) => throwExplained(error, host, port));
        process.stdout.write(`${address}\n`);
        if (!isLoopback(host) && config.SIGN_IN === 'off') note('everyone who can reach this address can read every report');
        const problem = await findSignInProblem(host, team);
        if (problem !== undefined) note(problem);
        note('Press Ctrl-C to stop the dashboard.');
        await stopped;
      } finally {
        await closeDesk(app);
        for (const each of [pool, authorPools?.author, authorPools?.keys]) await each?.end();
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
