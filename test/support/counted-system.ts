import pg from 'pg';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { createUrls } from '../../authoring/urls.ts';
import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import type { System } from '../../stack/system.ts';
import { clickledger, outputOf } from './commands.ts';
import { rawRequest } from './raw-http.ts';

/** Makes links and clicks in a whole system, and runs commands on it, as authors, readers and operators do. */
export interface CountedSystem {
  /** Creates a link to this address and returns its number. */
  createLink: (target: string) => Promise<number>;
  /** Clicks a link so many times, and returns when all clicks were redirected. */
  click: (link: number, times: number) => Promise<void>;
  /** Runs a command with the settings of the system. Rejects if its exit code is not 0. */
  command: (...args: string[]) => Promise<string>;
  /** What `clickledger audit` finds when it compares the databases with the logs. */
  findings: () => Promise<string[]>;
}

export function countedSystem(system: System, dataDir: string): CountedSystem {
  const urls = createUrls('', createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? '')));
  return {
    async createLink(target) {
      const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
      try {
        const { id } = await ensureCampaign(author, 'Autumn news');
        return await ensureLink(author, id, { kind: 'url', target });
      } finally {
        await author.end();
      }
    },
    async click(link, times) {
      for (let i = 0; i < times; i++) {
        const { status } = await rawRequest(system.ports.edges[0] as number, 'GET', urls.click(link, 0));
        if (status !== 302) throw new Error(`click ${i + 1} on link ${link} was answered with ${status}`);
      }
    },
    command: (...args) => outputOf([...args, '--data', dataDir]),
    async findings() {
      // The exit code is 1 if there are findings.
      const { stdout } = await clickledger(['audit', '--logs', system.logDirs[0] as string, '--json', '--data', dataDir]);
      return (JSON.parse(stdout) as { findings: { shard: string; what: string }[] }).findings.map(({ shard, what }) => `${shard}: ${what}`);
    },
  };
}

/** Runs one statement. `url` is a database URL with a password. */
export async function queryOnce<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}
