import { join } from 'node:path';
import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { locate } from '../../stack/debian.ts';
import { lockDataDir } from '../../stack/lock.ts';
import { restartOnChange } from '../../stack/restart-on-change.ts';
import { supervise } from '../../stack/supervise.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import { dataDirOf, withPool } from '../context.ts';
import { note } from '../output.ts';
import { bold, dim } from '../style.ts';

const DEFAULT_PORT = 8080;

export function addUp(program: Command): void {
  program
    .command('up')
    .description('run the whole system on this machine: Postgres, NATS, nginx, two backends, an agent, a worker and a forwarder')
    .option('--port <number>', 'the loopback port of nginx (default: the port of the last run, or 8080, or a free port)')
    .option('--shards <number>', 'the number of shard databases of a new data directory, 1 to 26; it cannot be changed later', '1')
    .option('--watch', 'restart a part when a file of its code changes (for development)')
    .addHelpText('after', '\nExamples:\n  clickledger up\n  clickledger up --port 8080 --data /srv/clickledger')
    .action(async (options: { port?: string; shards: string; watch?: boolean }, command: Command) => {
      const port = wholeNumber('--port', options.port, 1, 65535);
      const shards = wholeNumber('--shards', options.shards, 1, 26) ?? 1;
      const dataDir = dataDirOf(command);
      const { signal } = handleStopSignals(createLogger('up', 'silent'));
      const lock = await lockDataDir(dataDir);
      try {
        await locate('nats-server', note);
        await locate('nginx', note);
        const system = await startSystem({
          dataDir,
          shards,
          forwarders: 1,
          ...(port === undefined ? { preferredPort: DEFAULT_PORT } : { port }),
          onProgress: (text) => note(text, dim),
        });
        try {
          if (options.watch) restartOnChange(system, note, signal);
          await printFirstSteps(system, dataDir);
          // This call returns after the stop signal, when no process is being restarted. A process that is started during the stop would
          // keep running.
          await supervise(system, note, signal);
        } finally {
          note('stopping', dim);
          await system.stop();
        }
      } finally {
        await lock.release();
      }
    });
}

function wholeNumber(option: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < min || number > max)
    throw new ClickledgerError('bad-input', `${option} must be a whole number from ${min} to ${max}, not '${text}'`);
  return number;
}

/** Creates an example campaign if it does not exist yet. Prints its URLs and the commands to try next. */
async function printFirstSteps(system: System, dataDir: string): Promise<void> {
  const { env, baseUrl } = system;
  const urls = createUrls(baseUrl, createSlugCodec(parseSlugKeys(env['SLUG_KEYS'] ?? '')));
  const { campaign, click, pixel } = await withPool(env['AUTHOR_URL'] ?? '', async (pool) => {
    const { id } = await ensureCampaign(pool, 'First steps');
    const recipient = await ensureRecipient(pool, 'reader@example.com');
    const link = await ensureLink(pool, id, { kind: 'url', target: 'https://www.example.com/?hello=clickledger' });
    const image = await ensureLink(pool, id, { kind: 'pixel' });
    return { campaign: id, click: urls.click(link, recipient), pixel: urls.pixel(image, recipient) };
  });
  process.stdout.write(`
${bold('clickledger runs')} at ${baseUrl}

Try it: open these URLs, then run the report.
  tracked URL  ${click}
  pixel        ${pixel}
  report       npx clickledger report campaign-summary --campaign ${campaign}${dataFlag(dataDir)}

Your own campaign:
  create it    npx clickledger campaign create "Spring sale"${dataFlag(dataDir)}
  track a URL  npx clickledger url https://www.example.com/sale --campaign "Spring sale" --to reader@example.com${dataFlag(dataDir)}

The settings are in ${join(dataDir, 'env')}. Ctrl-C ends everything; the data are kept.
`);
}

/**
 * Returns the option --data for the printed commands. Returns an empty text if the data directory is `.clickledger` in the working
 * directory.
 */
function dataFlag(dataDir: string): string {
  return dataDir === join(process.cwd(), '.clickledger') ? '' : ` --data ${shellWord(dataDir)}`;
}

/** Quotes a text so that a shell reads it as one word. */
function shellWord(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
