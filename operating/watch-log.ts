import { join } from 'node:path';
import { type Hit, parseLine } from '../log-agent/parse.ts';

/**
 * Calls `onHit` for every hit that nginx appends to access.log in `logDir`, until `stop` is called. It may miss lines at a log rotation, so
 * use it only for display, and not for counting.
 */
export async function watchLog(
  logDir: string,
  onHit: (hit: Hit) => void,
  onError: (error: Error) => void,
): Promise<{ path: string; stop: () => Promise<void> }> {
  const { default: TailFile } = await import('tail-file');
  const path = join(logDir, 'access.log');
  const tail = new TailFile(path, { force: true });
  tail.on('line', (line: string) => {
    const parsed = parseLine(line);
    if ('hit' in parsed) onHit(parsed.hit);
  });
  tail.on('error', onError);
  await tail.startP();
  return { path, stop: () => tail.stop() };
}
