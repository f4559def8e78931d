import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { startNginx } from '../stack/nginx.ts';
import { freePort, acceptsConnections } from '../stack/ports.ts';
import { type Running, startProcess } from '../stack/process.ts';
import { type Bench, median } from './figure.ts';
import { SLUG_KEYS } from './fixture.ts';
import { countLogged, createLoad, expectLogged } from './load.ts';
import { recordPeak } from './memory.ts';
import { withBenchSystem, targetOf } from './system.ts';

// Measures nginx with two backends and a different slug in each request. The baseline is the same nginx in front of two Fastify processes
// that answer every request with the same redirect.

const ROUNDS = 9;
const SECONDS = 2;
/** All load comes from one address, so the rate limit must not apply. */
const UNLIMITED = { RATE_LIMIT: '1000000', RATE_BURST: '1000000' };

export const redirectsBench: Bench = async ({ directory, fixture, progress }) => {
  const slugs = await fixture.slugs();
  return withBenchSystem(
    { directory, members: ['postgres', 'backend-1', 'backend-2', 'nginx-1'], extra: UNLIMITED },
    async ({ system }) => {
      const runDir = join(directory, 'bare');
      const logDir = join(runDir, 'logs');
      const bare: Running[] = [];
      try {
        const backendPorts = [await freePort(), await freePort()];
        for (const [i, port] of backendPorts.entries()) bare.push(await startBareFastify(port, `bare-${i + 1}`, runDir));
        const barePort = await freePort();
        bare.push(await startNginx({ logDir, runDir, port: barePort, backendPorts, name: 'nginx-bare', env: UNLIMITED }));
        const ourPort = system.ports.edges[0] as number;

        // The backends poll for new links once a second.
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await expectRedirects(ourPort, slugs);

        const load = await createLoad({ directory, slugs, progress });
        const rates: { ours: number[]; bare: number[] } = { ours: [], bare: [] };
        const requests = { ours: 0, bare: 0 };
        const round = { path: '/u/', after: '' };
        await load.run({ ...round, port: barePort, first: 0, seconds: 2 });
        // One warm-up run of two seconds for each side. Its requests are in the log too, so they are counted.
        requests.ours += (await load.run({ ...round, port: ourPort, first: 0, seconds: 2 })).requests;
        for (let i = 0; i < ROUNDS; i++) {
          for (const side of i % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const)) {
            const port = side === 'ours' ? ourPort : barePort;
            const done = await load.run({ ...round, port, first: requests[side], seconds: SECONDS });
            rates[side].push(done.perSecond);
            requests[side] += done.requests;
          }
          progress(`   round ${i + 1}: ours ${Math.round(rates.ours[i] as number)}/s, bare ${Math.round(rates.bare[i] as number)}/s`);
        }
        expectLogged(await countLogged(join(system.logDirs[0] as string, 'access.log'), 302), requests.ours + SAMPLE_SIZE, ROUNDS + 1);
        for (const name of ['backend-1', 'backend-2']) await recordPeak('backend', (system.member(name).running as Running).pid);
        return [
          {
            what: 'redirects, all slugs different',
            unit: 'requests/s',
            ours: median(rates.ours),
            bare: { what: 'same nginx, bare Fastify', value: median(rates.bare) },
            target: { ratio: 0.8 },
          },
        ];
      } finally {
        for (const running of bare.toReversed()) await running.stop();
      }
    },
  );
};

function startBareFastify(port: number, name: string, runDir: string): Promise<Running> {
  return startProcess({
    name,
    command: process.execPath,
    args: [fileURLToPath(new URL('bare-redirect.ts', import.meta.url))],
    env: { PORT: String(port) },
    stopSignal: 'SIGTERM',
    runDir,
    ready: () => acceptsConnections(port),
  });
}

const SAMPLE_SIZE = 100;

/** Checks that a sample of the slugs leads to the right address. */
async function expectRedirects(port: number, slugs: readonly string[]): Promise<void> {
  const codec = createSlugCodec(parseSlugKeys(SLUG_KEYS));
  for (let i = 0; i < SAMPLE_SIZE; i++) {
    const slug = slugs[i * Math.floor(slugs.length / SAMPLE_SIZE)] as string;
    const expected = targetOf(codec.decode(slug)?.link ?? 0);
    const location = await new Promise<string | undefined>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: `/u/${slug}`, agent: false }, (response) => {
        response.resume();
        resolve(response.headers.location);
      })
        .on('error', reject)
        .end();
    });
    if (location !== expected) throw new Error(`a slug redirects to ${location} instead of ${expected}`);
  }
}
