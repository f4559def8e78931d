import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../test/support/servers.ts';

// The tests replace the package manager of Debian by shell scripts. So they can choose the installed packages, and nothing is downloaded.

const ROOT = join(import.meta.dirname, '..');
const INSTALLED = (name: string, source: string) =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\n${source === name ? '' : `Source: ${source}\n`}Version: 1\n`;

/**
 * Scripts that replace the tools of Debian. Each file in $CONTENTS stands for a package and contains the path of the only file of that
 * package. $MISSING lists the packages that `install` downloads.
 */
const TOOLS = {
  'apt-get': `
for word; do last=$word; done
case " $* " in
  *' update '*) ;;
  *' download '*) [ ! -e "$CONTENTS/$last" ] || cp "$CONTENTS/$last" "./$last.deb" ;;
  *' install '*)
    work=$(printf '%s\\n' "$@" | sed -n 's/^Dir::Cache=//p')
    for name in $MISSING; do cp "$CONTENTS/$name" "$work/archives/$name.deb"; done ;;
esac`,
  'apt-cache': `printf 'Package: chromium-headless-shell\\nSource: chromium\\nVersion: 1\\n'`,
  dpkg: `mkdir -p "$3/$(dirname "$(cat "$2")")" && printf '#!/bin/sh\\n' >"$3/$(cat "$2")" && chmod +x "$3/$(cat "$2")"`,
  ldd: 'true',
};

/**
 * Locates the browser with a copy of debian.ts whose cache contains only the files `cached`. Returns the names of the program and of the
 * files in its directory.
 */
async function locateBrowser(installed: string[], missing: string[], cached: string[] = []): Promise<string[]> {
  const directory = await temporaryDirectory();
  for (const file of ['stack/debian.ts', 'core/errors.ts']) await cp(join(ROOT, file), join(directory, file));
  await mkdir(join(directory, 'bin'));
  await mkdir(join(directory, 'contents'));
  for (const [name, script] of Object.entries(TOOLS)) {
    await writeFile(join(directory, 'bin', name), `#!/bin/sh\nset -e\n${script}\n`);
    await chmod(join(directory, 'bin', name), 0o755);
  }
  for (const [name, file] of Object.entries({
    'chromium-headless-shell': 'usr/lib/chromium/chromium-headless-shell',
    'chromium-common': 'usr/lib/chromium/icudtl.dat',
    libxslt: 'usr/lib/x86_64-linux-gnu/libxslt.so',
  }))
    await writeFile(join(directory, 'contents', name), file);
  await writeFile(join(directory, 'status'), installed.join('\n'));
  for (const file of cached) {
    const path = join(directory, '.cache', 'servers', 'chromium-headless-shell', file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '#!/bin/sh\n', { mode: 0o755 });
  }
  const program = `import { locate } from '${directory}/stack/debian.ts'; console.log(await locate('chromium-headless-shell'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: {
      PATH: `${join(directory, 'bin')}:/usr/bin:/bin`,
      CONTENTS: join(directory, 'contents'),
      MISSING: missing.join(' '),
      DPKG_ADMINDIR: directory,
    },
  });
  return readdir(dirname(stdout.trim()));
}

test('a fetched program has all its files beside it, also if a package with some of them is installed', async () => {
  const chromium = ['chromium', 'chromium-common'].map((name) => INSTALLED(name, 'chromium'));
  expect(await locateBrowser([INSTALLED('libc6', 'glibc'), ...chromium], ['chromium-headless-shell', 'libxslt'])).toEqual([
    'chromium-headless-shell',
    'icudtl.dat',
  ]);
  expect(await locateBrowser([], ['chromium-headless-shell', 'chromium-common', 'libxslt'])).toEqual([
    'chromium-headless-shell',
    'icudtl.dat',
  ]);
});

test('a program that was fetched without them is fetched again', async () => {
  const chromium = [INSTALLED('chromium-common', 'chromium')];
  expect(await locateBrowser(chromium, ['chromium-headless-shell'], ['usr/lib/chromium/chromium-headless-shell'])).toEqual([
    'chromium-headless-shell',
    'icudtl.dat',
  ]);
});
