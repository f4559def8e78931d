import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ClickledgerError, codeOf } from '../core/errors.ts';

// Finds nginx, nats-server and the like: on the PATH, in our cache, or in the distribution's packages, which are fetched and unpacked into
// the cache. Nothing is installed and nobody has to be root: apt keeps its lists and downloads where it is told to.

const run = promisify(execFile);

/** Programs and the Debian or Ubuntu packages that have them, the likeliest first. */
const PACKAGES = {
  nginx: ['nginx', 'nginx-core', 'nginx-light'],
  'nats-server': ['nats-server'],
  wrk: ['wrk'],
  'chromium-headless-shell': ['chromium-headless-shell'],
  openssl: ['openssl'],
} as const;

export type Program = keyof typeof PACKAGES;

/** Packages of libraries that such a program needs and few machines have; they are unpacked beside it. `all`: whatever apt would install. */
const LIBRARIES: Partial<Record<Program, readonly string[] | 'all'>> = {
  wrk: ['libluajit-5.1-2'],
  'chromium-headless-shell': 'all',
  openssl: 'all',
};

/** Where packages have programs. What Chromium has in usr/bin is a script that wants it to be installed. */
const PLACES = ['usr/lib/chromium', 'usr/sbin', 'usr/bin'];
/** Where they have libraries, below usr/lib. */
const LIBRARY_PLACES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((platform) => [platform, join(platform, 'pulseaudio')]);

/** The path of a program; throws `missing-server` with what to install where it cannot be had. `onFetch` is told before a download. */
export async function locate(program: Program, onFetch: (text: string) => void = () => {}): Promise<string> {
  return onPath(program) ?? inCache(program) ?? (await fetch(program, onFetch));
}

/** LD_LIBRARY_PATH for a located program: the libraries that were unpacked beside it. */
export function libraryPath(program: string): string {
  const usr = /^.*\/usr(?=\/)/.exec(program)?.[0] ?? dirname(dirname(program));
  return LIBRARY_PLACES.map((place) => join(usr, 'lib', place)).join(delimiter);
}

function onPath(program: Program): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function inCache(program: Program): string | undefined {
  return PLACES.map((directory) => join(cacheDir(), program, directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `.cache` beside the sources, or the user's cache where those are not ours to write to. */
function cacheDir(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    accessSync(root, constants.W_OK);
    return join(root, '.cache', 'servers');
  } catch {
    return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'clickledger', 'servers');
  }
}

async function fetch(program: Program, onFetch: (text: string) => void): Promise<string> {
  const advice = `install ${PACKAGES[program][0]}, or run clickledger with Docker`;
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg'))
    throw new ClickledgerError('missing-server', `${program} is not on the PATH: ${advice}`);
  onFetch(`fetching ${program} from the distribution's packages (once)`);
  await mkdir(cacheDir(), { recursive: true });
  const work = await mkdtemp(join(cacheDir(), 'fetch-'));
  try {
    const apt = await privateApt(work);
    for (const name of PACKAGES[program]) {
      const unpacked = await download(apt, work, name);
      const found = PLACES.find((directory) => isExecutable(join(unpacked, directory, program)));
      if (!found) continue;
      const libraries = LIBRARIES[program] ?? [];
      if (libraries === 'all') await downloadMissing(apt, work, name, unpacked);
      else for (const library of libraries) await download(apt, work, library, unpacked);
      const missing = await missingLibraries(join(unpacked, found, program));
      if (missing.length > 0)
        throw new ClickledgerError('missing-server', `${program} needs ${missing.join(', ')}, which this machine lacks: ${advice}`);
      const home = join(cacheDir(), program);
      // Another process may have been faster; one copy is as good as the other.
      await rename(unpacked, home).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
      });
      return join(home, found, program);
    }
  } catch (error) {
    if (error instanceof ClickledgerError) throw error;
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0];
    throw new ClickledgerError(
      'missing-server',
      `${program} is not on the PATH and could not be fetched (${said ?? String(error)}): ${advice}`,
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  throw new ClickledgerError('missing-server', `${program} is not on the PATH and not in the distribution's packages: ${advice}`);
}

/** Options that keep apt to a directory of ours, its lists fresh. */
async function privateApt(work: string): Promise<string[]> {
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true });
  const options = {
    'Dir::State': join(work, 'state'),
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(work, 'cache'),
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
  };
  const apt = ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  await run('apt-get', [...apt, 'update'], { cwd: work });
  return apt;
}

/** Unpacks a package, if the distribution has it, and says where. */
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

/** Unpacks a package and every other that it needs and this machine has not installed. */
async function downloadMissing(apt: string[], work: string, name: string, unpacked: string): Promise<void> {
  await run('apt-get', [...apt, 'install', '-y', '--no-install-recommends', '--download-only', name], { cwd: work });
  const archives = join(work, 'cache', 'archives');
  const files = (await readdir(archives)).filter((entry) => entry.endsWith('.deb'));
  for (const file of files) await run('dpkg', ['-x', join(archives, file), unpacked], { cwd: work });
}

async function missingLibraries(path: string): Promise<string[]> {
  const env = { ...process.env, LD_LIBRARY_PATH: libraryPath(path) };
  const { stdout } = await run('ldd', [path], { cwd: dirname(path), env }).catch(() => ({ stdout: '' }));
  return Array.from(stdout.matchAll(/^\s*(\S+) => not found/gm), (match) => match[1] as string);
}
