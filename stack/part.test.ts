import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { HEAP } from './part.ts';

test('containers give Node the memory that it is given here', async () => {
  const { services } = parse(await readFile(new URL('../docker-compose.yml', import.meta.url), 'utf8'), { merge: true }) as {
    services: Record<string, { environment: { NODE_OPTIONS: string } }>;
  };
  const given = (service: string) => services[service]?.environment.NODE_OPTIONS.split(' ');
  expect({ backend: given('backend-1'), other: given('backend-2'), agent: given('log-agent'), worker: given('event-worker') }).toEqual({
    backend: HEAP.backend,
    other: HEAP.backend,
    agent: HEAP['log-agent'],
    worker: HEAP['event-worker'],
  });
});
