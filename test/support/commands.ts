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

/** The message by which a process of command-server.ts runs a command. After the output of the command, it writes `mark` to stdout and stderr. */
export interface CommandRequest {
  args: readonly string[];
  env: Record<string, string | undefined>;
  cwd: string;
  mark: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The commands that run until they get a signal, or that start parts. Each of them runs in a new process. */
const LASTING = ['up', 'run', 'dashboard', 'watch', 'schedule', 'drain'];

/**
 * Runs a command, and returns its output and exit code. The command gets only PATH and HOME of the environment of this process. One process
 * runs many commands, because Node takes half a second of CPU time to start a process and load a command. If `entry` is given, the path of
 * another program, this program runs in a new process.
 */
export function clickledger(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; entry?: string } = {},
): Promise<CommandResult> {
  const { cwd = ROOT, entry } = options;
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compileCache(), ...options.env };
  if (entry === undefined && !args.some((arg) => LASTING.includes(arg)))
    return runInServer({ args, env, cwd, mark: `\n${randomUUID()}\n` });
  const child = spawn(process.execPath, [join(ROOT, entry ?? 'cli/main.ts'), ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...output, code }));
  });
}

/** Runs a command and returns its stdout. Throws if its exit code is not 0. */
export async function outputOf(args: readonly string[], options: Parameters<typeof clickledger>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await clickledger(args, options);
  if (code !== 0) throw new Error(`\`clickledger ${args.join(' ')}\` ended with exit code ${code}: ${stderr}`);
  return stdout;
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
    // An error that is a bug ends the process, as it would end cli/main.ts.
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
