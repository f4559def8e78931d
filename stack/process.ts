import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { orUndefinedAfter, sleep } from '../core/time.ts';

// Runs a server or a part as a child process that does not continue to run after this process has exited. On Linux the kernel sends the
// child its stop signal when this process exits in any way (setpriv --pdeathsig). If setpriv is missing, the next start finds the child by
// its pid file and stops it.

export interface ProcessSpec {
  name: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** The signal that requests an orderly shutdown. */
  stopSignal: NodeJS.Signals;
  /** The directory of the pid file and of the file with the output. */
  runDir: string;
  /** Whether the process must not run as root even if this process runs as root. Postgres refuses to run as root. */
  notRoot?: boolean;
  /** The path of a network namespace in which the process runs. Only root can enter one. Default: that of this process. */
  networkNamespace?: string | undefined;
  /** Returns whether the process is ready. This function is called repeatedly until it returns true. A rejection counts as false. */
  ready: (pid: number) => Promise<boolean>;
  /** Default: 60 s. */
  readyTimeoutMs?: number;
}

/** The maximum duration of one call of `ready`. */
const ATTEMPT_MS = 10_000;

/** A running process. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has exited, with a text such as `exited with code 0`. */
  readonly exited: Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Sends the stop signal and waits for the exit. Kills the process after `killAfterMs`, by default 15 s. */
  stop(killAfterMs?: number): Promise<void>;
  /** Sends SIGKILL and waits for the exit. */
  kill(): Promise<void>;
}

// The id of the user nobody. Every Debian system has this user. The process runs in a user namespace and can still access the files of this
// process.
const NOBODY = '65534';
const SETPRIV = '/usr/bin/setpriv';
const UNSHARE = '/usr/bin/unshare';
const NSENTER = '/usr/bin/nsenter';

/**
 * Returns the command line that starts a process with two protections. The kernel sends the stop signal to the new process when this
 * process exits. If `notRoot` is set, the new process does not run as root.
 */
export function guardedCommand(spec: Pick<ProcessSpec, 'command' | 'args' | 'stopSignal' | 'notRoot' | 'networkNamespace'>): {
  command: string;
  args: string[];
} {
  let line = [spec.command, ...spec.args];
  if (existsSync(SETPRIV)) line = [SETPRIV, '--pdeathsig', spec.stopSignal.slice(3), '--', ...line];
  if (spec.notRoot && process.getuid?.() === 0) line = [UNSHARE, '--user', `--map-user=${NOBODY}`, '--', ...line];
  // Each of these programs replaces itself with the next one, so the process id is that of the last program.
  if (spec.networkNamespace !== undefined) line = [NSENTER, `--net=${spec.networkNamespace}`, '--', ...line];
  return { command: line[0] as string, args: line.slice(1) };
}

/** Returns the environment variable that makes another Node process use the same compile cache as this process. See bin/bootstrap.js. */
export const compileCache = (): { NODE_COMPILE_CACHE?: string } => {
  const directory = process.env['NODE_COMPILE_CACHE'];
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: directory };
};

/**
 * Starts a process and resolves once it is ready. If the process exits or is not ready in time, it is killed, and `server-failed` is thrown
 * with the last lines of its output.
 */
export async function startProcess(spec: ProcessSpec): Promise<Running> {
  await mkdir(spec.runDir, { recursive: true, mode: 0o700 });
  const outputPath = join(spec.runDir, `${spec.name}.log`);
  const output = await open(outputPath, 'a', 0o600);
  const { command, args } = guardedCommand(spec);
  // The child runs in a separate session. So Ctrl-C on the terminal reaches only this process, and this process stops all children in the
  // right order.
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compileCache(), ...spec.env },
    stdio: ['ignore', output.fd, output.fd],
    detached: true,
  });
  // The listener for the exit is added first, because a process that fails may exit at once.
  const exited = exitOf(child);
  await output.close();
  const pid = child.pid;
  if (pid === undefined) throw new ClickledgerError('server-failed', `${spec.name} cannot be started: ${await exited}`);
  const pidPath = join(spec.runDir, `${spec.name}.pid`);
  await writeFile(pidPath, `${pid} ${await startTimeOf(pid)}\n`, { mode: 0o600 });
  void exited.then(async () => {
    // If the master process of nginx was killed, its workers would continue to run and keep the port. The workers are in the process group
    // of the master, so the whole group is stopped.
    stopGroup(pid);
    await unlink(pidPath).catch(() => {});
  });

  const running: Running = {
    name: spec.name,
    pid,
    exited,
    signal: (name) => void child.kill(name),
    async stop(killAfterMs = 15_000) {
      child.kill(spec.stopSignal);
      const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      await exited;
      clearTimeout(timer);
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
  await waitUntilReady(spec, running, outputPath);
  return running;
}

/** Sends SIGTERM to all processes of a process group that still exist. */
function stopGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGTERM');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `was killed by ${signal}` : `exited with code ${code}`));
  });
}

async function waitUntilReady(spec: ProcessSpec, running: Running, outputPath: string): Promise<void> {
  let exit: string | undefined;
  void running.exited.then((text) => {
    exit = text;
  });
  const deadline = performance.now() + (spec.readyTimeoutMs ?? 60_000);
  // A call of `spec.ready` may hang, e.g. if the server does not complete a connection.
  while ((await orUndefinedAfter(spec.ready(running.pid), ATTEMPT_MS).catch(() => false)) !== true) {
    if (exit === undefined && performance.now() < deadline) {
      await sleep(25);
      continue;
    }
    await running.kill();
    const tail = (await readFile(outputPath, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n  ');
    throw new ClickledgerError(
      'server-failed',
      `${spec.name} ${exit ?? 'did not become ready in time'}. The end of its output (${outputPath}):\n  ${tail}`,
    );
  }
}

/**
 * Returns the start time of a process in the unit of the kernel, or '' if the process does not exist or its start time is unknown. The
 * kernel may use a pid again, so only the pid and the start time together identify a process.
 */
export async function startTimeOf(pid: number): Promise<string> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = status.slice(status.lastIndexOf(')') + 2).split(' ');
    // State Z is a zombie: the process has exited, and its parent has not read the exit status yet. State X is a dead process.
    return state === 'Z' || state === 'X' ? '' : (fields[18] ?? '');
  } catch {
    return '';
  }
}

/** Returns whether the process of a pid file still runs. `pidLine` is the content of the file: pid and start time. */
export async function isRunning(pidLine: string): Promise<boolean> {
  const [pid, startTime] = pidLine.trim().split(' ');
  if (!pid || !startTime) return false;
  return (await startTimeOf(Number(pid))) === startTime;
}

/**
 * Stops the processes of an earlier run that still run and have a pid file in `runDir`. Deletes the pid files. Returns the names of the
 * stopped processes.
 */
export async function stopLeftovers(runDir: string): Promise<string[]> {
  const stopped: string[] = [];
  const names = await readdir(runDir).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter((file) => file.endsWith('.pid'))) {
    const path = join(runDir, name);
    const line = await readFile(path, 'utf8').catch(() => '');
    if (await isRunning(line)) {
      const pid = Number(line.split(' ')[0]);
      // On SIGQUIT, Postgres also stops its child processes. On SIGTERM, nginx does. On SIGKILL they could not.
      process.kill(pid, name.startsWith('postgres') ? 'SIGQUIT' : 'SIGTERM');
      for (let i = 0; i < 200 && (await isRunning(line)); i++) await sleep(50);
      if (await isRunning(line)) process.kill(pid, 'SIGKILL');
      stopped.push(name.replace(/\.pid$/, ''));
    }
    await unlink(path).catch(() => {});
  }
  return stopped;
}
