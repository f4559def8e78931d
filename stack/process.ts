import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { sleep } from '../core/time.ts';

// A server or part as a child process that cannot outlive us: the kernel ends it when its parent ends, however that happens (setpriv
// --pdeathsig, on Linux), and where that is not to be had, the next start finds it by its pid file and ends it.

export interface ProcessSpec {
  name: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Asks it to end in good order. */
  stopSignal: NodeJS.Signals;
  /** Where its pid file and its output go. */
  runDir: string;
  /** Run as somebody other than root, when we are root (Postgres refuses to be). */
  notRoot?: boolean;
  /** Whether it serves; asked again and again until it does. */
  ready: (pid: number) => Promise<boolean>;
  readyTimeoutMs?: number;
}

export interface Running {
  readonly name: string;
  readonly pid: number;
  /** Resolves with a description of how it ended. */
  readonly ended: Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Ends it in good order, and by force after `forceAfterMs`. */
  stop(forceAfterMs?: number): Promise<void>;
  /** `kill -9`, and waits until it is gone. */
  kill(): Promise<void>;
}

// nobody: the one user besides root that every Debian has. Inside its user namespace the process still has our files.
const NOBODY = '65534';
const SETPRIV = '/usr/bin/setpriv';
const UNSHARE = '/usr/bin/unshare';

/** The command line that makes the kernel end the process with us, and, where asked for, keeps it from being root. */
export function guarded(spec: Pick<ProcessSpec, 'command' | 'args' | 'stopSignal' | 'notRoot'>): { command: string; args: string[] } {
  let line = [spec.command, ...spec.args];
  if (existsSync(SETPRIV)) line = [SETPRIV, '--pdeathsig', spec.stopSignal.slice(3), '--', ...line];
  if (spec.notRoot && process.getuid?.() === 0) line = [UNSHARE, '--user', `--map-user=${NOBODY}`, '--', ...line];
  return { command: line[0] as string, args: line.slice(1) };
}

/** Starts a process and resolves once it is ready; throws `server-failed` with the end of its output if it ends or takes too long. */
export async function startProcess(spec: ProcessSpec): Promise<Running> {
  await mkdir(spec.runDir, { recursive: true, mode: 0o700 });
  const outputPath = join(spec.runDir, `${spec.name}.log`);
  const output = await open(outputPath, 'a', 0o600);
  const { command, args } = guarded(spec);
  // A session of its own: Ctrl-C on the terminal reaches us alone, and we end everything in order.
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...spec.env },
    stdio: ['ignore', output.fd, output.fd],
    detached: true,
  });
  // Listened for at once: a process that fails may have ended before anything else is done.
  const ended = endOf(child);
  await output.close();
  const pid = child.pid;
  if (pid === undefined) throw new ClickledgerError('server-failed', `${spec.name} could not be started: ${await ended}`);
  const pidPath = join(spec.runDir, `${spec.name}.pid`);
  await writeFile(pidPath, `${pid} ${await startTimeOf(pid)}\n`, { mode: 0o600 });
  void ended.then(async () => {
    // Workers of an nginx whose master was killed would serve on, and keep the port: they are of its process group.
    endGroup(pid);
    await unlink(pidPath).catch(() => {});
  });

  const running: Running = {
    name: spec.name,
    pid,
    ended,
    signal: (name) => void child.kill(name),
    async stop(forceAfterMs = 15_000) {
      child.kill(spec.stopSignal);
      const timer = setTimeout(() => child.kill('SIGKILL'), forceAfterMs);
      await ended;
      clearTimeout(timer);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  await waitUntilReady(spec, running, outputPath);
  return running;
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGTERM');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with code ${code}`));
  });
}

async function waitUntilReady(spec: ProcessSpec, running: Running, outputPath: string): Promise<void> {
  let how: string | undefined;
  void running.ended.then((text) => {
    how = text;
  });
  const deadline = performance.now() + (spec.readyTimeoutMs ?? 60_000);
  while (!(await spec.ready(running.pid).catch(() => false))) {
    if (how === undefined && performance.now() < deadline) {
      await sleep(25);
      continue;
    }
    await running.kill();
    const tail = (await readFile(outputPath, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n  ');
    throw new ClickledgerError(
      'server-failed',
      `${spec.name} ${how ?? 'did not become ready'}; its last words (${outputPath}):\n  ${tail}`,
    );
  }
}

/** When a process started, in the kernel's own count, so that a pid given again is not mistaken; '' where that cannot be known. */
export async function startTimeOf(pid: number): Promise<string> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = status.slice(status.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only nobody has asked how.
    return state === 'Z' || state === 'X' ? '' : (fields[18] ?? '');
  } catch {
    return '';
  }
}

/** Whether the process that wrote this line into a pid file still runs. */
export async function isAlive(pidLine: string): Promise<boolean> {
  const [pid, startTime] = pidLine.trim().split(' ');
  if (!pid || !startTime) return false;
  return (await startTimeOf(Number(pid))) === startTime;
}

/** Ends what an earlier life left running: everything with a pid file in `runDir` that is still the same process. */
export async function endLeftovers(runDir: string): Promise<string[]> {
  const ended: string[] = [];
  const names = await readdir(runDir).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter((file) => file.endsWith('.pid'))) {
    const path = join(runDir, name);
    const line = await readFile(path, 'utf8').catch(() => '');
    if (await isAlive(line)) {
      const pid = Number(line.split(' ')[0]);
      // The postmaster's SIGQUIT and nginx' SIGTERM reach their own children, too; SIGKILL would not.
      process.kill(pid, name.startsWith('postgres') ? 'SIGQUIT' : 'SIGTERM');
      for (let i = 0; i < 200 && (await isAlive(line)); i++) await sleep(50);
      if (await isAlive(line)) process.kill(pid, 'SIGKILL');
      ended.push(name.replace(/\.pid$/, ''));
    }
    await unlink(path).catch(() => {});
  }
  return ended;
}
