import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { serveAdmin } from '../core/admin.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { HEAP_OPTIONS, MALLOC_SETTINGS, startPart } from './part.ts';
import { freePort } from './ports.ts';

test('containers give Node the memory that it is given here', async () => {
  const { services } = parse(await readFile(new URL('../docker-compose.yml', import.meta.url), 'utf8'), { merge: true }) as {
    services: Record<string, { environment: { NODE_OPTIONS: string } }>;
  };
  const optionsOf = (service: string) => services[service]?.environment.NODE_OPTIONS.split(' ');
  expect({
    backend: optionsOf('backend-1'),
    other: optionsOf('backend-2'),
    agent: optionsOf('log-agent'),
    worker: optionsOf('event-worker'),
    relay: optionsOf('relay'),
    forwarder: optionsOf('forwarder'),
  }).toEqual({
    backend: HEAP_OPTIONS.backend,
    other: HEAP_OPTIONS.backend,
    agent: HEAP_OPTIONS['log-agent'],
    worker: HEAP_OPTIONS['event-worker'],
    relay: HEAP_OPTIONS.relay,
    forwarder: HEAP_OPTIONS.forwarder,
  });
  const settings = Object.entries(MALLOC_SETTINGS).map(([name, value]) => `${name}=${value}`);
  expect(await readFile(new URL('../Dockerfile', import.meta.url), 'utf8')).toContain(`\nENV ${settings.join(' ')}\n`);
});

test('a part is not taken for ready because another one answers at its port', async () => {
  const health = () => ({ ready: true, degraded: [] });
  const port = await freePort();
  const other = await serveAdmin({ part: 'worker', host: '127.0.0.1', port, registry: new Registry(), health });
  onTestFinished(() => void other?.close());
  const env = {
    WORKER_URL: 'postgres://127.0.0.1:1/nowhere',
    SHARDS: 'a=00=postgres://127.0.0.1:1/nowhere',
    SLUG_KEYS: '12'.repeat(32),
    WORKER_NATS_URL: 'nats://127.0.0.1:1',
    ADMIN_PORT: String(port),
  };
  const starting = startPart({ part: 'event-worker', name: 'event-worker-1', runDir: await temporaryDirectory(), env });
  await expect(starting).rejects.toMatchObject({ code: 'server-failed', message: expect.stringContaining(`port: ${port}`) as string });
});
