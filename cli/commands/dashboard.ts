import { type Command, InvalidArgumentError } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { createPool } from '../../core/postgres.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { configOf } from '../context.ts';
import { note } from '../output.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

/** A page takes two at a time: enough for a few people who look on. */
const CONNECTIONS = 8;
/** After a statement's own time is up, a server that is still silent is frozen. */
const GRACE_MS = 5_000;

export function addDashboard(program: Command): void {
  program
    .command('dashboard')
    .description('campaigns and reports in a browser, live while mail goes out; read-only, as the analyst')
    .option('--port <port>', 'the port to listen on; 0: any that is free', parsePort, 8090)
    .option('--host <address>', 'the address to listen on; whoever reaches it can read every report', '127.0.0.1')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .addHelpText('after', '\nExample:\n  clickledger dashboard --port 8090')
    .action(async ({ port, host, timeout }: { port: number; host: string; timeout: number }, command: Command) => {
      const config = await configOf(command, ['ANALYST_URL']);
      const { createDashboard } = await import('../../desk/app.ts');
      const { stopped } = handleStopSignals(createLogger('dashboard', 'silent'));
      const pool = createPool(config.ANALYST_URL, { max: CONNECTIONS, name: 'dashboard', queryTimeoutMs: timeout * 1000 + GRACE_MS });
      const app = createDashboard({ pool, host, timeoutSeconds: timeout, refreshSeconds: 10, onError: (error) => note(String(error)) });
      try {
        const address = await app.listen({ port, host }).catch((error: unknown) => throwExplained(error, host, port));
        process.stdout.write(`${address}\n`);
        if (!/^(?:localhost|127\..*|::1)$/.test(host)) note('whoever reaches this address can read every report');
        note('Ctrl-C ends it');
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
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program has that port: choose one with --port',
    EACCES: 'that port is for root alone: choose one above 1023 with --port',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'there is no such host',
  };
  const said = why[codeOf(error) ?? ''];
  throw said === undefined ? error : new ClickledgerError('bad-input', `cannot listen on ${host}:${port}: ${said}`, { cause: error });
}
