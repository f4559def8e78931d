import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expectEqual } from './figure.ts';
import { LINES } from './fixture.ts';
import { type BenchSystem, waitUntil } from './system.ts';

// rsyslog as a baseline. It follows the same log and inserts each line as text into one table of the same Postgres. It does not parse or
// count anything, and it keeps no rollups.

const DAEMON = '/usr/sbin/rsyslogd';
const MODULES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((platform) => `/usr/lib/${platform}/rsyslog/ompgsql.so`);

/** Returns whether rsyslog and its module for Postgres are installed (Debian packages rsyslog and rsyslog-pgsql). */
export const hasRsyslog = (): boolean => existsSync(DAEMON) && MODULES.some((path) => existsSync(path));

/** Returns the seconds that rsyslog needs for all lines of a log. */
export async function timeRsyslog(benchSystem: BenchSystem, logPath: string, directory: string): Promise<number> {
  const url = new URL(benchSystem.urlOf('a'));
  const [stagedLog, log] = [join(directory, 'staged.log'), join(directory, 'logs', 'access.log')];
  await mkdir(join(directory, 'logs'), { recursive: true });
  await mkdir(join(directory, 'work'), { recursive: true });
  await copyFile(logPath, stagedLog);
  const quoted = (text: string): string => JSON.stringify(text);
  const configPath = join(directory, 'rsyslog.conf');
  await writeFile(
    configPath,
    `global(workDirectory=${quoted(join(directory, 'work'))} maxMessageSize="64k")
module(load="imfile" mode="inotify")
module(load="ompgsql")
template(name="insert" type="list" option.stdsql="on") {
  constant(value="INSERT INTO rsyslog_line (line) VALUES ('")
  property(name="msg")
  constant(value="')")
}
ruleset(name="store") {
  action(type="ompgsql" server=${quoted(url.hostname)} port=${quoted(url.port)} db=${quoted(url.pathname.slice(1))}
         user=${quoted(url.username)} pass=${quoted(decodeURIComponent(url.password))} template="insert"
         queue.type="linkedList" queue.size="200000" queue.dequeueBatchSize="5000" queue.workerThreads="2")
}
input(type="imfile" file=${quoted(log)} tag="access" ruleset="store" escapeLF="off")
`,
    { mode: 0o600 },
  );
  await benchSystem.query('a', 'CREATE TABLE rsyslog_line (line text NOT NULL)');
  const client = new pg.Client({ connectionString: benchSystem.urlOf('a') });
  await client.connect();
  const daemon = spawn(DAEMON, ['-n', '-f', configPath, '-i', join(directory, 'rsyslog.pid')], { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(daemon, 'exit');
  try {
    // Waits until rsyslog follows the directory.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const startedMs = performance.now();
    await rename(stagedLog, log);
    let lines = 0;
    await waitUntil(
      'rsyslog has inserted the log',
      async () => {
        const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM rsyslog_line');
        lines = rows[0]?.n ?? 0;
        return lines >= LINES;
      },
      600,
    );
    const seconds = (performance.now() - startedMs) / 1000;
    expectEqual('lines of rsyslog', lines, LINES);
    return seconds;
  } finally {
    daemon.kill('SIGTERM');
    await exited;
    await client.query('DROP TABLE rsyslog_line');
    await client.end();
  }
}
