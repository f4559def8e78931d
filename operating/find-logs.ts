import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../core/errors.ts';
import { Follower } from '../log-agent/follow.ts';

/** The files of a log directory: the logs, and files that are not read. `what` says what such a file is. */
export interface FoundLogs {
  paths: string[];
  foreign: { name: string; what: string }[];
}

/** Finds all logs of a directory, also those that the agent does not know yet. Empty files are left out. */
export async function findLogs(logDir: string): Promise<FoundLogs> {
  const follower = new Follower({ directory: logDir, quietMs: 0 });
  try {
    await follower.scan();
    while (await follower.identify());
    // A compressed file that was read to its end may have turned out to be damaged.
    await follower.scan({ full: true });
    const foreign = follower.foreignFiles.map(({ name, what }) => ({ name, what }));
    const paths: string[] = [];
    for (const name of await readdir(logDir)) {
      if (!name.startsWith('access.log') || foreign.some((file) => file.name === name)) continue;
      const path = join(logDir, name);
      // An agent may delete logs meanwhile.
      if ((await sizeOf(path)) > 0) paths.push(path);
    }
    return { paths, foreign };
  } finally {
    await follower.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  const status = await stat(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
  return status?.size ?? 0;
}
