import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/servers/', import.meta.url));
/** A release of Debian with nats-server 2.10. */
const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Returns the path of a nats-server of a later version than that of this distribution, for tests of clusters with two versions. It is downloaded
 * from another release of the distribution, from the same mirror as the packages of this machine. Throws if there is none.
 */
export async function locateLaterNats(): Promise<string> {
  const home = join(CACHE, `nats-server-${SUITE}`);
  const path = join(home, 'usr', 'sbin', 'nats-server');
  if (existsSync(path)) return path;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'fetch-'));
  try {
    const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages', 'Component: main']);
    const mirror = stdout.split('\n').find((uri) => /\/debian\/?$/.test(uri));
    if (mirror === undefined) throw new Error('this machine uses no mirror of Debian');
    for (const directory of ['lists/partial', 'archives/partial', 'state']) await mkdir(join(work, directory), { recursive: true });
    await writeFile(join(work, 'sources.list'), `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main\n`);
    const options = {
      'Dir::Etc::sourcelist': join(work, 'sources.list'),
      'Dir::Etc::sourceparts': '-',
      'Dir::State': join(work, 'state'),
      'Dir::State::Lists': join(work, 'lists'),
      'Dir::Cache': work,
      'Debug::NoLocking': '1',
      'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
    };
    const apt = ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
    await run('apt-get', [...apt, 'update'], { cwd: work });
    await run('apt-get', [...apt, 'download', 'nats-server'], { cwd: work });
    const file = (await readdir(work)).find((name) => name.endsWith('.deb'));
    if (file === undefined) throw new Error(`${SUITE} has no nats-server`);
    await run('dpkg', ['-x', join(work, file), join(work, 'root')]);
    await rename(join(work, 'root'), home);
    return path;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
