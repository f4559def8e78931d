import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ClickledgerError, codeOf } from '../core/errors.ts';

// Finds a program such as nginx or nats-server: on the PATH, in the cache, or in the packages of the distribution. A package is downloaded
// and unpacked into the cache. The package is not installed, and no root rights are needed, because apt stores its lists and downloads in a
// given directory.
//
// All files of a program come from one place. A program looks for its other files next to itself. So the cache contains all packages that
// were built from the same source package, even if some of them are installed on this machine.

const run = promisify(execFile);

/** For each program, the Debian or Ubuntu packages that contain it, in the order in which they are tried. */
const PACKAGES = {
  nginx: ['nginx', 'nginx-core', 'nginx-light'],
  'nats-server': ['nats-server'],
  wrk: ['wrk'],
  'chromium-headless-shell': ['chromium-headless-shell'],
  openssl: ['openssl'],
  pgbouncer: ['pgbouncer'],
  postgres: ['postgresql-15', 'postgresql-16', 'postgresql-17'],
  // Debian names the program of a language by its version.
  'php8.2': ['php8.2-cli'],
  'php8.3': ['php8.3-cli'],
  'php8.4': ['php8.4-cli'],
  python3: ['python3'],
  swaks: ['swaks'],
  patroni: ['patroni'],
  msmtp: ['msmtp'],
  // smtp-sink is a mail server that drops what it gets.
  'smtp-sink': ['postfix'],
  postfix: ['postfix'],
  prometheus: ['prometheus'],
  // ip and tc make networks.
  ip: ['iproute2'],
  tc: ['iproute2'],
  // A wrapper of the library libfaketime, which gives a process another time.
  faketime: ['faketime'],
} as const;

export type Program = keyof typeof PACKAGES;

/**
 * For each program, the packages of libraries that it needs and that few machines have. They are unpacked into the directory of the
 * program. `all` means all packages that apt would install for the program.
 */
const LIBRARIES: Partial<Record<Program, readonly string[] | 'all'>> = {
  wrk: ['libluajit-5.1-2'],
  'chromium-headless-shell': 'all',
  openssl: 'all',
  // pgbouncer does not have `all`, because it depends on packages with scripts of the distribution. The names of the libraries differ
  // between Debian and Ubuntu.
  pgbouncer: ['libc-ares2', 'libcares2', 'libevent-2.1-7', 'libevent-2.1-7t64', 'libssl3', 'libssl3t64'],
  postgres: 'all',
  // Not `all`, because apt would choose another of the stores in which Patroni keeps its state.
  patroni: [
    ...[
      'pysyncobj',
      'psycopg2',
      'click',
      'dateutil',
      'prettytable',
      'psutil',
      'urllib3',
      'yaml',
      'cdiff',
      'six',
      'wcwidth',
      'pkg-resources',
    ].map((name) => `python3-${name}`),
    'libpq5',
  ],
  'php8.2': 'all',
  'php8.3': 'all',
  'php8.4': 'all',
  python3: 'all',
  swaks: 'all',
  msmtp: 'all',
  'smtp-sink': 'all',
  postfix: 'all',
  ip: 'all',
  tc: 'all',
  faketime: 'all',
};

/** The name of a file that is stored with an unpacked program. It lists the packages of the program. */
const PACKAGE_LIST = 'packages.txt';

/** The directories of the Postgres servers, relative to the root directory. The distribution does not put them on the PATH. */
const POSTGRES_DIRECTORIES = [15, 16, 17].map((version) => `usr/lib/postgresql/${version}/bin`);
/**
 * The directories of programs in a package. usr/lib/chromium comes first, because the file in usr/bin is a script that works only if
 * Chromium is installed.
 */
const PROGRAM_DIRECTORIES = ['usr/lib/chromium', ...POSTGRES_DIRECTORIES, 'usr/sbin', 'usr/bin'];
/** The directories of libraries in a package, below usr/lib. */
const LIBRARY_DIRECTORIES = [
  ...['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((platform) => [platform, join(platform, 'pulseaudio')]),
  'postfix',
];

/**
 * Returns the path of a program. If it has to be downloaded, `onFetch` is first called with a message for the user. Throws
 * `missing-server`, which names the package to install, if the program cannot be found or downloaded.
 */
export async function locate(program: Program, onFetch: (text: string) => void = () => {}): Promise<string> {
  return onPath(program) ?? inCache(program) ?? (await fetchProgram(program, onFetch));
}

/** Returns LD_LIBRARY_PATH for a located program: the directories of the libraries that were unpacked with the program. */
export function libraryPath(program: string): string {
  const usr = /^.*\/usr(?=\/)/.exec(program)?.[0] ?? dirname(dirname(program));
  return LIBRARY_DIRECTORIES.map((directory) => join(usr, 'lib', directory)).join(delimiter);
}

function onPath(program: Program): string | undefined {
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    ...POSTGRES_DIRECTORIES.map((directory) => `/${directory}`),
  ];
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function inCache(program: Program): string | undefined {
  // If the list of packages is missing, the unpacked program may lack packages that were installed on this machine when the program was
  // unpacked.
  if (LIBRARIES[program] === 'all' && !existsSync(join(cacheDir(), program, PACKAGE_LIST))) return undefined;
  return PROGRAM_DIRECTORIES.map((directory) => join(cacheDir(), program, directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the directory of the cache: `.cache` in the source directory, or the cache of the user if the source directory is not writable.
 */
function cacheDir(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    accessSync(root, constants.W_OK);
    return join(root, '.cache', 'servers');
  } catch {
    return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'clickledger', 'servers');
  }
}

async function fetchProgram(program: Program, onFetch: (text: string) => void): Promise<string> {
  const advice = `install ${PACKAGES[program][0]}, or run clickledger with Docker`;
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg'))
    throw new ClickledgerError('missing-server', `${program} is not on the PATH: ${advice}`);
  onFetch(`downloading ${program} from the packages of the distribution (only this time)`);
  await mkdir(cacheDir(), { recursive: true });
  const work = await mkdtemp(join(cacheDir(), 'fetch-'));
  try {
    const apt = await privateApt(work);
    for (const name of PACKAGES[program]) {
      const unpacked = await download(apt, work, name);
      const programDir = PROGRAM_DIRECTORIES.find((directory) => isExecutable(join(unpacked, directory, program)));
      if (!programDir) continue;
      const libraries = LIBRARIES[program] ?? [];
      if (libraries === 'all') await downloadAll(apt, work, name, unpacked);
      else for (const library of libraries) await download(apt, work, library, unpacked);
      const missing = await missingLibraries(join(unpacked, programDir, program));
      if (missing.length > 0)
        throw new ClickledgerError('missing-server', `${program} needs ${missing.join(', ')}, which this machine does not have: ${advice}`);
      const home = join(cacheDir(), program);
      if (inCache(program) === undefined) await rm(home, { recursive: true, force: true });
      // Another process may have unpacked the same program in the meantime. In this case the copy of that process is used.
      await rename(unpacked, home).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
      });
      return join(home, programDir, program);
    }
  } catch (error) {
    if (error instanceof ClickledgerError) throw error;
    const reason = (error as { stderr?: string }).stderr?.trim().split('\n')[0] ?? String(error);
    throw new ClickledgerError('missing-server', `${program} is not on the PATH and cannot be downloaded (${reason}): ${advice}`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  throw new ClickledgerError('missing-server', `${program} is not on the PATH and not in the packages of the distribution: ${advice}`);
}

/** Updates the package lists in the directory `work`. Returns the options that make apt use only this directory. */
async function privateApt(work: string): Promise<string[]> {
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true });
  const options = {
    'Dir::State': join(work, 'state'),
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': dpkgStatus(),
    'Dir::Cache': join(work, 'cache'),
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
  };
  const apt = ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  await run('apt-get', [...apt, 'update'], { cwd: work });
  return apt;
}

/**
 * Downloads a package and unpacks it into the directory `unpacked`. Returns this directory. If the distribution does not have the package,
 * the directory is not changed.
 */
async function download(apt: string[], work: string, name: string, unpacked = join(work, name, 'root')): Promise<string> {
  const directory = join(work, name);
  await mkdir(directory);
  try {
    await run('apt-get', [...apt, 'download', name], { cwd: directory });
  } catch {
    return unpacked;
  }
  const file = (await readdir(directory)).find((entry) => entry.endsWith('.deb'));
  if (file) await run('dpkg', ['-x', file, unpacked], { cwd: directory });
  return unpacked;
}

/**
 * Downloads and unpacks a package and the dependencies that are not installed on this machine. Also downloads and unpacks the installed
 * packages that were built from the same source package.
 */
async function downloadAll(apt: string[], work: string, name: string, unpacked: string): Promise<void> {
  await run('apt-get', [...apt, 'install', '-y', '--no-install-recommends', '--download-only', name], { cwd: work });
  const archives = join(work, 'cache', 'archives');
  const files = (await readdir(archives)).filter((entry) => entry.endsWith('.deb'));
  for (const file of files) await run('dpkg', ['-x', join(archives, file), unpacked], { cwd: work });
  const { stdout } = await run('apt-cache', [...apt, 'show', '--no-all-versions', name], { cwd: work });
  const source = sourceOf(stdout);
  const installed = installedFrom(await readFile(dpkgStatus(), 'utf8'), source).filter((other) => other !== name);
  for (const other of installed) await download(apt, work, other, unpacked);
  await writeFile(join(unpacked, PACKAGE_LIST), [...files, ...installed].map((line) => `${line}\n`).join(''));
}

/** Returns the path of the file in which dpkg lists the packages. */
function dpkgStatus(): string {
  return join(process.env['DPKG_ADMINDIR'] || '/var/lib/dpkg', 'status');
}

/**
 * Returns the names of the installed packages that were built from a source package. `status` is the content of dpkg's list of packages.
 */
function installedFrom(status: string, source: string): string[] {
  return status
    .split(/\n{2,}/)
    .filter((entry) => /^Status: install ok installed$/m.test(entry) && sourceOf(entry) === source)
    .map((entry) => /^Package: (\S+)/m.exec(entry)?.[1] ?? '');
}

/** Returns the name of the source package of a package. The entry of a package names the source package only if the two names differ. */
function sourceOf(entry: string): string {
  return (/^Source: (\S+)/m.exec(entry) ?? /^Package: (\S+)/m.exec(entry))?.[1] ?? '';
}

/** Returns the libraries that the dynamic linker cannot find for a program. */
async function missingLibraries(path: string): Promise<string[]> {
  // The locale is C, because the code below parses the output.
  const env = { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: libraryPath(path) };
  const { stdout } = await run('ldd', [path], { cwd: dirname(path), env }).catch(() => ({ stdout: '' }));
  return Array.from(stdout.matchAll(/^\s*(\S+) => not found/gm), (match) => match[1] as string);
}
