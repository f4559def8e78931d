import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { locate } from '../stack/debian.ts';
import { startNginx } from '../stack/nginx.ts';
import { freePort, acceptsConnections } from '../stack/ports.ts';
import { type Running, startProcess } from '../stack/process.ts';
import { type Bench, median } from './figure.ts';
import { countLogged, createLoad, expectLogged } from './load.ts';

// Compares how fast the nginx of clickledger answers requests for the pixel with a bare nginx, which has only `empty_gif` and the same log
// format.

const ROUNDS = 9;
const SECONDS = 1;

export const pixelBench: Bench = async ({ directory, fixture, progress }) => {
  const slugs = await fixture.slugs();
  await mkdir(directory, { recursive: true });
  const runDir = join(directory, 'run');
  const logDirs = { ours: join(directory, 'ours'), bare: join(directory, 'bare') };
  const ports = { ours: await freePort(), bare: await freePort() };
  const running: Running[] = [];
  try {
    running.push(await startNginx({ logDir: logDirs.ours, runDir, port: ports.ours, backendPorts: [await freePort()] }));
    running.push(await startBareNginx(ports.bare, logDirs.bare, runDir));
    const load = await createLoad({ directory, slugs, progress });
    const rates: { ours: number[]; bare: number[] } = { ours: [], bare: [] };
    const requests = { ours: 0, bare: 0 };
    for (let i = 0; i < ROUNDS; i++) {
      for (const side of i % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const)) {
        const done = await load.run({ path: '/r/', after: '.gif', port: ports[side], first: requests[side], seconds: SECONDS });
        rates[side].push(done.perSecond);
        requests[side] += done.requests;
      }
      progress(`   round ${i + 1}: ours ${Math.round(rates.ours[i] as number)}/s, bare ${Math.round(rates.bare[i] as number)}/s`);
    }
    for (const side of ['ours', 'bare'] as const)
      expectLogged(await countLogged(join(logDirs[side], 'access.log'), 200), requests[side], ROUNDS);
    return [
      {
        what: 'pixels, all slugs different',
        unit: 'requests/s',
        ours: median(rates.ours),
        bare: { what: 'nginx with empty_gif and the log', value: median(rates.bare) },
        target: { ratio: 0.8 },
      },
    ];
  } finally {
    for (const each of running.toReversed()) await each.stop();
  }
};

async function startBareNginx(port: number, logDir: string, runDir: string): Promise<Running> {
  const template = await readFile(new URL('../nginx/tracking.conf.template', import.meta.url), 'utf8');
  const format = /^log_format tracking [^;]+;/m.exec(template)?.[0];
  if (format === undefined) throw new Error('nginx/tracking.conf.template has no log_format tracking');
  const home = join(runDir, 'nginx-bare');
  await mkdir(home, { recursive: true });
  await mkdir(logDir, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(home, name)};`);
  const config = `${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 2;
pid ${join(home, 'nginx.pid')};
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  ${format}
  server {
    listen 127.0.0.1:${port};
    location /r/ { access_log ${join(logDir, 'access.log')} tracking; empty_gif; }
  }
}
`;
  const path = join(home, 'nginx.conf');
  await writeFile(path, config);
  return startProcess({
    name: 'nginx-bare',
    command: await locate('nginx'),
    args: ['-e', join(home, 'error.log'), '-c', path, '-g', 'daemon off;'],
    stopSignal: 'SIGQUIT',
    runDir,
    ready: () => acceptsConnections(port),
  });
}
