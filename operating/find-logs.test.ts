import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { openFinishedLogs } from '../log-agent/finished-logs.ts';
import { logLine } from '../test/support/log-lines.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { findLogs } from './find-logs.ts';

test('a damaged compressed log is named, and the other logs of its directory can be opened', async () => {
  const directory = join(await temporaryDirectory(), 'logs');
  await mkdir(directory);
  const files = {
    'access.log': logLine(),
    'access.log.1': '',
    'access.log.2.gz': gzipSync(logLine()),
    'access.log.3.gz': gzipSync(logLine()).subarray(0, -9),
    'access.log.4.gz': gzipSync(''),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), content);
    await utimes(join(directory, name), 1, 1);
  }
  // The names of an old directory are not read again at each scan.
  await utimes(directory, 1, 1);
  const { paths, foreign } = await findLogs(directory);
  expect(foreign).toEqual([{ name: 'access.log.3.gz', what: 'gzip, incomplete or damaged' }]);
  const logs = await openFinishedLogs(paths);
  expect(logs.generations.length).toBe(2);
  await logs.close();
});
