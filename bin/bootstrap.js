#!/usr/bin/env node
// Installs the dependencies if they are missing or older than the lock file. Then runs a file of the project with the version of Node that
// the project pins (the package `node`). This file is plain JavaScript, so it runs on any Node from 18 on.
//
//   node bin/bootstrap.js FILE [ARGUMENTS…]      for the tools of developers: tests, checks, benches

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const SETPRIV = '/usr/bin/setpriv';
/** The oldest Node that runs the TypeScript files of a checkout, and the oldest one that runs the JavaScript files of the package. */
const OLDEST_NODE = existsSync(join(root, 'package-lock.json')) ? 24 : 22;
/** A signal that arrives twice within this time was sent once, and reached this process on two ways. */
const SAME_SIGNAL_MS = 1_000;

/** Reports an error as the commands do, and ends this process. */
function fail(message) {
  process.stderr.write(`clickledger: ${message}\n`);
  process.exit(1);
}

/**
 * Whether the installed packages are those of the lock file. `withTools`: also the packages that only tests and checks need, which npm
 * leaves out in production (NODE_ENV, `omit=dev`).
 */
function isInstalled(withTools) {
  const lock = join(root, 'package-lock.json');
  const modules = join(root, 'node_modules');
  const installed = join(modules, '.package-lock.json');
  // A published package has no lock file: npm has installed its dependencies together with it.
  if (!existsSync(lock)) return true;
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) return false;
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const names = Object.keys(withTools ? { ...dependencies, ...devDependencies } : dependencies);
  return names.every((name) => existsSync(join(modules, name, 'package.json')));
}

function install(withTools) {
  process.stderr.write('clickledger: installing the dependencies (only this time)\n');
  const npm = process.env.npm_execpath;
  const [command, ...args] = guarded(npm && /\bnpm-cli\.[cm]?js$/.test(npm) ? [process.execPath, npm] : ['npm']);
  // Postgres for this platform is an optional package, and `npm start` needs it.
  const kinds = ['--include=prod', '--include=optional', ...(withTools ? ['--include=dev'] : [])];
  // `npm install` instead of `npm ci`, because `npm ci` refuses a lock file that lacks the optional packages of other platforms. A lock
  // file lacks them if they were missing in the registry with which it was created. The output of npm goes to stderr, because stdout is for
  // the output of the command.
  const result = spawnSync(command, [...args, 'install', ...kinds, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0)
    fail(result.error ? `npm cannot be run: ${result.error.message}` : '`npm install` failed. The lines above show the reason.');
  // With this link `npx clickledger` works in the directory of the repository.
  const link = join(root, 'node_modules', '.bin', 'clickledger');
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'bin', 'clickledger.js'), link);
}

/**
 * The Node that runs the project: the one that the project pins, or else the one that runs this file, if it is new enough. If clickledger
 * is a dependency of another project, npm may have installed the package `node` in a node_modules directory further up.
 */
function findNode() {
  let packageAt = root;
  for (let directory = root; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', '.bin', 'node');
    if (existsSync(candidate)) return candidate;
    if (existsSync(join(directory, 'node_modules', 'node', 'package.json'))) packageAt = directory;
    if (directory === dirname(directory)) break;
  }
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return process.execPath;
  // The package `node` puts its program in place by an install script. Many people forbid install scripts, so it is not run unasked.
  return fail(
    `this needs Node ${OLDEST_NODE} or later, and this is Node ${process.versions.node}. The package \`node\` brings it by an install script, ` +
      'which was not run (`ignore-scripts` in the settings of npm). Either install a newer Node, or allow this one script:\n' +
      `  cd ${shellWord(packageAt)} && npm rebuild --ignore-scripts=false node`,
  );
}

/** A word of a shell command. */
function shellWord(text) {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A command line that the kernel ends with SIGTERM if this process is killed. */
function guarded(command) {
  return existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'TERM', '--', ...command] : command;
}

/**
 * The environment of the program. Requests to this machine do not go through a proxy, also if NODE_USE_ENV_PROXY is set. In a checkout, Node
 * keeps the compiled files in `.cache`, so that every later start takes half of the CPU.
 */
function environment() {
  const cache = isWritable(root) ? { NODE_COMPILE_CACHE: join(root, '.cache', 'node') } : {};
  const direct = [process.env.no_proxy || process.env.NO_PROXY, 'localhost', '127.0.0.1', '::1'].filter(Boolean).join(',');
  return { ...cache, ...process.env, no_proxy: direct, NO_PROXY: direct };
}

function isWritable(directory) {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a file with the right Node in a child process, with the same terminal. Passes on signals, and exits with the exit code of the child.
 *
 * The child has a session of its own, so that it gets each signal once, from this process, whoever sent it: Ctrl-C reaches all processes of
 * the terminal, `kill` and a supervisor reach this process alone, and npm passes on what the terminal has already sent.
 */
export function run(file, args, { withTools = false, env = environment() } = {}) {
  if (!isInstalled(withTools)) install(withTools);
  const [command, ...rest] = guarded([findNode(), file, ...args]);
  const child = spawn(command, rest, { stdio: 'inherit', env, detached: true });
  const signalGroup = (signal) => {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  };
  const passedOn = new Map();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'])
    process.on(signal, () => {
      const now = performance.now();
      if (signal !== 'SIGWINCH' && now - (passedOn.get(signal) ?? Number.NEGATIVE_INFINITY) < SAME_SIGNAL_MS) return;
      passedOn.set(signal, now);
      child.kill(signal);
    });
  // Ctrl-Z stops this process and the child, and `fg` or `bg` continues both. The terminal would not do so in another session.
  process.on('SIGTSTP', () => {
    signalGroup('SIGSTOP');
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => signalGroup('SIGCONT'));
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  // psql and the tests would otherwise use the variables that a person has for other databases (PGSSLMODE, PGOPTIONS …).
  const env = Object.fromEntries(Object.entries(environment()).filter(([name]) => !/^PG[A-Z]/.test(name)));
  run(resolve(root, file), args, { withTools: true, env });
}
