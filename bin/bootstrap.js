#!/usr/bin/env node
// Installs the dependencies if they are missing or older than the lock file. Then runs a file of the project with the version of Node that
// the project pins (the package `node`). This file is plain JavaScript, so it runs on Node 18 and later.
//
//   node bin/bootstrap.js FILE [ARGUMENTS…]      for the tools of developers: tests, checks, benches

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const SETPRIV = '/usr/bin/setpriv';
/**
 * The oldest version of Node that can run the project. A checkout has TypeScript files and needs 24. The package has JavaScript files and
 * needs 22.
 */
const OLDEST_NODE = existsSync(join(root, 'package-lock.json')) ? 24 : 22;
/** A signal that was sent once can reach this process twice. If the same signal arrives again within this time, it is ignored. */
const SAME_SIGNAL_MS = 1_000;

/** Reports an error in the same form as the commands, and ends this process. */
function fail(message) {
  process.stderr.write(`clickledger: ${message}\n`);
  process.exit(1);
}

/**
 * Returns whether the dependencies are installed and not older than the lock file. With `withTools`, this includes the packages that only
 * tests and checks need. npm does not install these packages in production (NODE_ENV, `omit=dev`).
 */
function isInstalled(withTools) {
  const lock = join(root, 'package-lock.json');
  const modules = join(root, 'node_modules');
  const installed = join(modules, '.package-lock.json');
  // A published package has no lock file. npm installed the dependencies together with the package.
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
  // This runs `npm install` and not `npm ci`, because `npm ci` refuses a lock file that lacks the optional packages of other platforms. A
  // lock file lacks these packages if they were missing in the registry that was used to create the lock file. The output of npm goes to
  // stderr, because stdout is only for the output of the command.
  const result = spawnSync(command, [...args, 'install', ...kinds, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0)
    fail(result.error ? `npm cannot be run: ${result.error.message}` : '`npm install` failed. The lines above show the reason.');
  // This link makes `npx clickledger` work in the directory of the repository.
  const link = join(root, 'node_modules', '.bin', 'clickledger');
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'bin', 'clickledger.js'), link);
}

/**
 * Finds the program `node` that runs the project. If the version that the project pins is installed, this version is used. Otherwise the
 * Node that runs this file is used, if its version is new enough. If clickledger is a dependency of another project, npm may have installed
 * the package `node` in the node_modules directory of a parent directory.
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
  // The install script of the package `node` puts the program in place. Many users forbid install scripts, so this script is not run
  // without permission.
  return fail(
    `this needs Node ${OLDEST_NODE} or later, and this is Node ${process.versions.node}. The package \`node\` brings it by an install script, ` +
      'which was not run (`ignore-scripts` in the settings of npm). Either install a newer Node, or allow this one script:\n' +
      `  cd ${shellWord(packageAt)} && npm rebuild --ignore-scripts=false node`,
  );
}

/** Quotes a text so that a shell reads it as one word. */
function shellWord(text) {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Changes a command line so that the kernel sends SIGTERM to the command when this process dies. This needs the program setpriv. */
function guarded(command) {
  return existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'TERM', '--', ...command] : command;
}

/**
 * Returns the environment variables of the program. Requests to this machine do not go through a proxy, even if NODE_USE_ENV_PROXY is set.
 * In a checkout, Node keeps compiled files in `.cache`, so every later start takes half of the CPU time.
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
 * Runs a file with the right version of Node in a child process that uses the same terminal. Passes signals on to the child, and exits with
 * the exit code of the child.
 *
 * The child runs in its own session, so it gets signals only from this process and gets each signal once. Otherwise the child could get a
 * signal twice: Ctrl-C sends a signal to all processes of the terminal, and npm sends it to this process a second time. `kill` and a
 * supervisor send a signal only to this process.
 */
export function run(file, args, { withTools = false, env = {}, nodeOptions = [] } = {}) {
  if (!isInstalled(withTools)) install(withTools);
  const [command, ...rest] = guarded([findNode(), ...nodeOptions, file, ...args]);
  const child = spawn(command, rest, { stdio: 'inherit', env: { ...environment(), ...env }, detached: true });
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
  // Ctrl-Z stops this process and the child, and `fg` or `bg` continues both. The terminal does this only for processes of its own session,
  // so this process does it for the child.
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
  // A user may have set variables such as PGSSLMODE and PGOPTIONS for other databases. They are removed, because psql and the tests would
  // use them.
  for (const name of Object.keys(process.env)) if (/^PG[A-Z]/.test(name)) delete process.env[name];
  run(resolve(root, file), args, { withTools: true });
}
