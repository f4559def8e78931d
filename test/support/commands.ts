import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeEnvFile } from '../../core/env-file.ts';
import { compileCache } from '../../stack/process.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What a process for commands gets. It writes `mark` to stdout and to stderr after the output of the command. */
export interface CommandRequest {
  args: readonly string[];
  env: Record<string, string | undefined>;
  cwd: string;
  mark: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The commands that run until they get a signal, or that start parts. Each runs in a process of its own. */
const LASTING = ['up', 'run', 'dashboard', 'watch', 'schedule', 'drain'];

/**
 * Runs a command. It inherits only PATH and HOME from the environment. Node takes half a second of CPU time to load a command, so a process
 * that has run one command runs the next one, too. With `entry`, the path of another program, the process is a new one.
 */
export function clickledger(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; entry?: string } = {},
): Promise<CommandResult> {
  const { env: { NODE_OPTIONS, ...more } = {}, cwd = ROOT, entry } = options;
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compileCache(), ...more };
  if (entry === undefined && NODE_OPTIONS === undefined && !args.some((arg) => LASTING.includes(arg)))
    return runInServer({ args, env, cwd, mark: `\n${randomUUID()}\n` });
  const child = spawn(process.execPath, [join(ROOT, entry ?? 'cli/main.ts'), ...args], {
    cwd,
    env: { ...env, ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collect(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...output, code }));
  });
}

/** The processes of command-server.ts that run no command now. */
const idle: ChildProcess[] = [];

function runInServer(request: CommandRequest): Promise<CommandResult> {
  const server = idle.pop() ?? startServer();
  const output = collect(server);
  return new Promise((resolve) => {
    let code: number | undefined;
    const end = (result: CommandResult): void => {
      for (const event of ['message', 'close']) server.removeAllListeners(event);
      for (const stream of [server.stdout, server.stderr]) stream?.removeAllListeners('data');
      resolve(result);
    };
    const check = (): void => {
      if (code === undefined || !output.stdout.endsWith(request.mark) || !output.stderr.endsWith(request.mark)) return;
      idle.push(server);
      end({ code, stdout: output.stdout.slice(0, -request.mark.length), stderr: output.stderr.slice(0, -request.mark.length) });
    };
    server.on('message', (exitCode: number) => {
      code = exitCode;
      check();
    });
    server.stdout?.on('data', check);
    server.stderr?.on('data', check);
    // The process exits if the command throws an error that is a bug.
    server.once('close', (exitCode) => end({ ...output, code: exitCode }));
    server.send(request);
  });
}

/** Starts a process of command-server.ts. It exits with this process, and does not keep this process from exiting. */
function startServer(): ChildProcess {
  const server = spawn(process.execPath, [fileURLToPath(new URL('command-server.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  server.unref();
  server.channel?.unref();
  for (const stream of [server.stdout, server.stderr]) (stream as Socket).unref();
  return server;
}

/** Collects the output of a process from now on. */
function collect({ stdout, stderr }: ChildProcess): Omit<CommandResult, 'code'> {
  const output = { stdout: '', stderr: '' };
  stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return output;
}

/** Creates a data directory whose settings point to these databases. */
export async function createDataDirectory(databases: Databases, changes: Record<string, string> = {}): Promise<string> {
  const directory = await temporaryDirectory();
  await writeEnvFile(directory, {
    BASE_URL: 'https://t.example.org/',
    CATALOG_URL: databases.ownerUrl,
    BACKEND_URL: databases.roleUrls.backend,
    WORKER_URL: databases.roleUrls.worker,
    AUTHOR_URL: databases.roleUrls.author,
    ANALYST_URL: databases.roleUrls.analyst,
    FORWARDER_URL: databases.roleUrls.forwarder,
    SHARDS: databases.shardsText,
    SLUG_KEYS: databases.keysText,
    AGENT_NATS_URL: 'nats://127.0.0.1:1',
    WORKER_NATS_URL: 'nats://127.0.0.1:1',
    ANALYST_NATS_URL: 'nats://127.0.0.1:1',
    ...changes,
  });
  return directory;
}
