import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../core/config.ts';
import { HEAP_OPTIONS, MALLOC_SETTINGS } from '../stack/part.ts';

const UNITS = join(import.meta.dirname, '..', 'docs', 'systemd');
const HEAP_OF = {
  backend: HEAP_OPTIONS.backend,
  agent: HEAP_OPTIONS['log-agent'],
  worker: HEAP_OPTIONS['event-worker'],
  relay: HEAP_OPTIONS.relay,
  desk: HEAP_OPTIONS.desk,
  forwarder: HEAP_OPTIONS.forwarder,
} as const;
const MALLOC_TEXT = Object.entries(MALLOC_SETTINGS)
  .map(([name, value]) => `${name}=${value}`)
  .join(' ');

describe('the systemd units', async () => {
  const names = await readdir(UNITS);

  test('are there for nginx, every part, the export and the schedules', () => {
    expect(names).toEqual([
      'clickledger-agent.service',
      'clickledger-backend@.service',
      'clickledger-desk.service',
      'clickledger-export.service',
      'clickledger-forwarder.service',
      'clickledger-nginx.service',
      'clickledger-relay.service',
      'clickledger-schedule.service',
      'clickledger-worker.service',
    ]);
  });

  test.each(Object.entries(HEAP_OF))('%s has settings that there are, and the heap that it needs', async (part, heap) => {
    const text = await readFile(join(UNITS, names.find((name) => name.includes(part)) as string), 'utf8');
    expect(text).toContain(`ExecStart=/usr/local/bin/clickledger run ${part}\n`);
    const set = Array.from(text.matchAll(/^Environment=(.*)$/gm), ([, list]) => list as string).flatMap((list) =>
      Array.from(list.matchAll(/(?:^| )([A-Z_]+)=/g), ([, name]) => name as string),
    );
    expect(set.filter((name) => name !== 'NODE_OPTIONS' && !(name in MALLOC_SETTINGS) && !(name in SETTINGS))).toEqual([]);
    expect(text).toContain(`\nEnvironment=${MALLOC_TEXT}\n`);
    expect(text).toMatch(new RegExp(`^Environment=NODE_OPTIONS="?${heap.join(' ')}"?$`, 'm'));
  });

  test('keep the logs to one user and group', async () => {
    const texts = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(UNITS, name), 'utf8')] as const)));
    for (const name of ['clickledger-nginx.service', 'clickledger-agent.service'])
      expect(texts.get(name)).toMatch(/^Group=clickledger\nUMask=0027$/m);
    // start.sh changes the mode of logs of earlier versions, which belong to the user of the workers. It needs these capabilities.
    expect(texts.get('clickledger-nginx.service')).toMatch(/^CapabilityBoundingSet=.*\bCAP_CHOWN\b.*\bCAP_FOWNER\b/m);
    const logrotate = await readFile(join(UNITS, '..', '..', 'nginx', 'logrotate.conf'), 'utf8');
    expect(logrotate).toMatch(/^ {2}create 0640 clickledger clickledger$/m);
  });

  test('are such as systemd reads', async ({ skip }) => {
    const found = await promisify(execFile)('systemd-analyze', ['--version']).then(
      () => true,
      () => false,
    );
    if (!found) skip('there is no systemd-analyze');
    const directory = await mkdtemp(join(tmpdir(), 'clickledger-units-'));
    try {
      await cp(UNITS, directory, { recursive: true });
      for (const name of names) {
        // The command of the unit is not installed on the machine that runs the tests, so it is replaced.
        const text = await readFile(join(directory, name), 'utf8');
        await writeFile(join(directory, name), text.replace(/^(ExecStart=)\S+/m, '$1/bin/true'));
      }
      const paths = names.map((name) => join(directory, name.replace('@.', '@1.')));
      await cp(join(directory, 'clickledger-backend@.service'), join(directory, 'clickledger-backend@1.service'));
      const { stderr } = await promisify(execFile)('systemd-analyze', ['verify', '--man=no', ...paths]);
      expect(stderr.split('\n').filter((line) => line.includes('clickledger'))).toEqual([]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
