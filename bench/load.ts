import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { libraryPath, locate } from '../stack/debian.ts';

// Runs the load generator wrk with a script that requests the slugs of a file, one after the other.

const CONNECTIONS = 64;
// The number of slugs that are prepared for each second. wrk is slower than this, so a round requests no slug twice.
const SLUGS_PER_SECOND = 150_000;

// The script builds all requests before the measured time starts. During the run it only returns the next request.
const SCRIPT = `
local requests, at = {}, 0
function init(args)
  local head = " HTTP/1.1\\r\\nHost: t.example.org\\r\\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\\r\\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\\r\\nAccept-Language: en-US,en;q=0.5\\r\\nReferer: https://mail.google.com/\\r\\n\\r\\n"
  for slug in io.lines(args[1]) do requests[#requests + 1] = "GET " .. args[2] .. slug .. (args[3] or "") .. head end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"microseconds":%d,"failed":%d}\\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status))
end
`;

export interface Load {
  requests: number;
  perSecond: number;
}

export interface LoadGenerator {
  /** Runs one round. Throws unless every answer has status 2xx or 3xx. `after` is appended to the slug, e.g. `.gif`. */
  run(round: { port: number; path: string; after: string; first: number; seconds: number }): Promise<Load>;
}

export async function createLoad(options: {
  directory: string;
  slugs: readonly string[];
  progress: (text: string) => void;
}): Promise<LoadGenerator> {
  const { directory, slugs, progress } = options;
  const wrk = await locate('wrk', progress);
  const script = join(directory, 'slugs.lua');
  const slice = join(directory, 'slugs.txt');
  await writeFile(script, SCRIPT);
  return {
    async run({ port, path, after, first, seconds }) {
      const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, `http://127.0.0.1:${port}`, '--'];
      const at = first % slugs.length;
      await writeFile(slice, [...slugs.slice(at), ...slugs.slice(0, at)].slice(0, seconds * SLUGS_PER_SECOND).join('\n'));
      args.push(slice, path, after);
      const { stdout } = await promisify(execFile)(wrk, args, { env: { LD_LIBRARY_PATH: libraryPath(wrk) } });
      const result = /^RESULT (.+)$/m.exec(stdout)?.[1];
      if (result === undefined) throw new Error(`the output of wrk has no RESULT line: ${stdout}`);
      const { requests, microseconds, failed } = JSON.parse(result) as { requests: number; microseconds: number; failed: number };
      if (failed > 0) throw new Error(`${failed} of ${requests} requests were not answered 2xx or 3xx`);
      return { requests, perSecond: (requests / microseconds) * 1e6 };
    },
  };
}

/** Counts the lines of an access log that have this status. */
export async function countLogged(path: string, status: number): Promise<number> {
  const pattern = `","s":${status},"`;
  let count = 0;
  let rest = '';
  for await (const text of createReadStream(path, { encoding: 'latin1', highWaterMark: 1024 * 1024 })) {
    const lines = (rest + (text as string)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.includes(pattern)) count++;
  }
  return count;
}

/**
 * Throws unless every answered request was logged. The log may have more lines than answers: at the end of each round, at most one request
 * per connection was in flight.
 */
export function expectLogged(logged: number, requests: number, rounds: number): void {
  if (logged < requests || logged > requests + rounds * CONNECTIONS) throw new Error(`${logged} lines were logged for ${requests} answers`);
}
