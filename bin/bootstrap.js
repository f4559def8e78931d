#!/usr/bin/env node
// Plain JavaScript for any Node from 18 on: installs the dependencies where they are missing or older than the lock file, then runs
// a file of the project with the Node that it pins (the package `node`).
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
  // Installed as a package by somebody else's npm: nothing to do here.
  if (!existsSync(lock)) return true;
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

function install() {
  process.stderr.write('clickledger: installing dependencies (once)\n');
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm ? [process.execPath, npm] : ['npm'];
  // Not `npm ci`: it refuses a lock file without the optional packages of platforms that the registry it was made with does not have.
  // What npm has to say goes to stderr: stdout belongs to the command.
  const result = spawnSync(command, [...args, 'install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    process.stderr.write('clickledger: `npm install` failed; the lines above say why\n');
    process.exit(1);
  }
  // So that `npx clickledger` finds the command here at once.
  const link = join(root, 'node_modules', '.bin', 'clickledger');
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'bin', 'clickledger.js'), link);
}

/** The Node that the project pins; inside another project's node_modules it may be hoisted. */
function pinnedNode() {
  for (let directory = root; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', '.bin', 'node');
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) return process.execPath;
  }
}

/** Runs a file with the pinned Node as if it were this process: same terminal, same signals, same end. */
export function run(file, args) {
  if (!isInstalled()) install();
  let line = [pinnedNode(), file, ...args];
  // Should this process be killed, the kernel ends the real one, too.
  if (existsSync('/usr/bin/setpriv')) line = ['/usr/bin/setpriv', '--pdeathsig', 'TERM', '--', ...line];
  const child = spawn(line[0], line.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to both; the child decides what it means.
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
