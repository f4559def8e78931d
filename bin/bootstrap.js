#!/usr/bin/env node
// Installs the dependencies if they are missing or older than the lock file. Then runs a file of the project with the version of Node that
// the project pins (the package `node`). This file is plain JavaScript, so it runs on any Node from 18 on.
//
//   node bin/bootstrap.js FILE [ARGUMENTS…]

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

function isInstalled() {
  const lock = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules', '.package-lock.json');
  // A published package has no lock file: npm has installed its dependencies together with it.
  if (!existsSync(lock)) return true;
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

function install() {
  process.stderr.write('clickledger: installing the dependencies (only this time)\n');
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm ? [process.execPath, npm] : ['npm'];
  // `npm install` instead of `npm ci`, because `npm ci` refuses a lock file that lacks the optional packages of other platforms. A lock
  // file lacks them if they were missing in the registry with which it was created. The output of npm goes to stderr, because stdout is for
  // the output of the command.
  const result = spawnSync(command, [...args, 'install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    process.stderr.write('clickledger: `npm install` failed. The lines above show the reason.\n');
    process.exit(1);
  }
  // With this link `npx clickledger` works in the directory of the repository.
  const link = join(root, 'node_modules', '.bin', 'clickledger');
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'bin', 'clickledger.js'), link);
}

/**
 * The path of the Node that the project pins. If clickledger is a dependency of another project, npm may have installed the package `node`
 * in a node_modules directory further up.
 */
function pinnedNode() {
  for (let directory = root; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', '.bin', 'node');
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) return process.execPath;
  }
}

/**
 * Runs a file with the pinned Node in a child process, with the same terminal. Passes on signals, and exits with the exit code of the
 * child.
 */
export function run(file, args) {
  if (!isInstalled()) install();
  let command = [pinnedNode(), file, ...args];
  // If this process is killed, the kernel sends SIGTERM to the child.
  if (existsSync('/usr/bin/setpriv')) command = ['/usr/bin/setpriv', '--pdeathsig', 'TERM', '--', ...command];
  const child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // On Ctrl-C the terminal sends SIGINT to both processes. The child handles it; this process waits for the exit of the child.
  process.on('SIGINT', () => {});
  child.on('error', (error) => {
    process.stderr.write(`clickledger: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  run(resolve(root, file), args);
}
