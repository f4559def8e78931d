import { join } from 'node:path';
import type { Command } from 'commander';
import { createLogger } from '../../core/log.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { locate } from '../../stack/debian.ts';
import { lockDataDir } from '../../stack/lock.ts';
import { supervise } from '../../stack/supervise.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import { dataDirOf, withPool } from '../context.ts';
import { bold, dim, note } from '../output.ts';

const DEFAULT_PORT = 8080;

export function addUp(program: Command): void {
  program
    .command('up')
    .description('run everything on this machine: Postgres, NATS, nginx, two backends, an agent, a worker')
    .option('--port <number>', 'where nginx listens on loopback (default: as last time, else 8080 or a free one)')
    .option('--shards <number>', 'how many shard databases a new data directory gets; fixed for good', '1')
    .addHelpText('after', '\nExamples:\n  clickledger up\n  clickledger up --port 8080 --data /srv/clickledger')
    .action(async (options: { port?: string; shards: string }, command: Command) => {
      const port = wholeNumber('--port', options.port, 1, 65535);
      const shards = wholeNumber('--shards', options.shards, 1, 26) ?? 1;
      const dataDir = dataDirOf(command);
      const { stopped, signal } = handleStopSignals(createLogger('up', 'silent'));
      const lock = await lockDataDir(dataDir);
      try {
        await locate('nats-server', note);
        await locate('nginx', note);
        const system = await startSystem({
          dataDir,
          shards,
          ...(port === undefined ? { preferredPort: DEFAULT_PORT } : { port }),
          onProgress: (text) => note(dim(text)),
        });
        try {
          await introduce(system, dataDir);
          await Promise.race([stopped, supervise(system, note, signal)]);
        } finally {
          note(dim('stopping'));
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
    throw new ClickledgerError('bad-input', `${option} takes a whole number from ${min} to ${max}, not '${text}'`);
  return number;
}

/** Makes a first campaign to try, the same one every time, and says what can be done now. */
async function introduce(system: System, dataDir: string): Promise<void> {
  const { env, baseUrl } = system;
  const make = createUrls(baseUrl, createSlugCodec(parseSlugKeys(env['SLUG_KEYS'] ?? '')));
  const { campaign, click, pixel } = await withPool(env['AUTHOR_URL'] ?? '', async (pool) => {
    const { id } = await ensureCampaign(pool, 'First steps', undefined);
    const recipient = await ensureRecipient(pool, 'reader@example.com');
    const link = await ensureLink(pool, id, { kind: 'url', target: 'https://www.example.com/?hello=clickledger' });
    const image = await ensureLink(pool, id, { kind: 'pixel' });
    return { campaign: id, click: make.click(link, recipient), pixel: make.pixel(image, recipient) };
  });
  process.stdout.write(`
${bold('clickledger runs')} at ${baseUrl}

  tracked URL  ${click}
  pixel        ${pixel}
  its report   npx clickledger report campaign-summary --campaign ${campaign}${dataFlag(dataDir)}

  your own     npx clickledger campaign create "Spring sale"${dataFlag(dataDir)}
               npx clickledger url https://www.example.com/sale --campaign "Spring sale" --to reader@example.com${dataFlag(dataDir)}

Settings are in ${join(dataDir, 'env')}. Ctrl-C ends everything; the data stay.
`);
}

function dataFlag(dataDir: string): string {
  return dataDir === join(process.cwd(), '.clickledger') ? '' : ` --data ${dataDir}`;
}
