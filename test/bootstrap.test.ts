import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { eventually, temporaryDirectory } from './support/servers.ts';

// Tests bin/bootstrap.js in a small separate project: the packages that it installs, the Node that it uses, and the signals that reach the
// program.

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);

/**
 * A program that prints its environment and the signals that it gets. After the first signal it runs for a while longer, like a program
 * that shuts down in order.
 */
const PROGRAM = `
console.log(JSON.stringify({ node: process.execPath, env: process.env }));
const timer = setTimeout(() => {}, 60_000);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(name, () => {
    console.log(name);
    timer.unref();
    setTimeout(() => console.log('ended'), 700);
  });
console.log('ready');
`;

/** Creates a project with one dependency and one development dependency. They are installed unless `missing` names them. */
async function createProject({ missing = [], lockIsNew = false }: { missing?: string[]; lockIsNew?: boolean } = {}): Promise<string> {
  const directory = await temporaryDirectory();
  await cp(join(ROOT, 'bin'), join(directory, 'bin'), { recursive: true });
  const all = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { version: string }> };
  const locked = (name: string) => all.packages[`node_modules/${name}`] as { version: string };
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  const described = {
    name: 'clickledger',
    version: '0.0.0',
    type: 'module',
    scripts: { start: scripts.start, test: 'exec node bin/bootstrap.js cli/main.ts' },
    dependencies: { commander: locked('commander').version },
    devDependencies: { sqids: locked('sqids').version },
  };
  const { name, version, dependencies, devDependencies } = described;
  await writeFile(join(directory, 'package.json'), JSON.stringify(described));
  await writeFile(
    join(directory, 'package-lock.json'),
    JSON.stringify({
      name: 'clickledger',
      version: '0.0.0',
      lockfileVersion: 3,
      packages: {
        '': { name, version, dependencies, devDependencies },
        'node_modules/commander': locked('commander'),
        'node_modules/sqids': { ...locked('sqids'), dev: true },
      },
    }),
  );
  await mkdir(join(directory, 'node_modules', '.bin'), { recursive: true });
  for (const name of ['commander', 'sqids'].filter((name) => !missing.includes(name)))
    await cp(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name), { recursive: true });
  await writeFile(join(directory, 'node_modules', '.package-lock.json'), '{}');
  const now = Date.now() / 1000;
  await utimes(join(directory, 'package-lock.json'), now, now + (lockIsNew ? 60 : -60));
  await mkdir(join(directory, 'cli'));
  await writeFile(join(directory, 'cli', 'main.ts'), PROGRAM);
  return directory;
}

/**
 * Creates a directory for the PATH with a program named npm. This program writes its arguments to `npm-arguments` and installs the missing
 * packages.
 */
async function withRecordedNpm(project: string): Promise<{ path: string; calls: () => Promise<string[]> }> {
  const directory = join(project, 'path');
  await mkdir(directory);
  await writeFile(
    join(directory, 'npm'),
    `#!/bin/sh\necho "$@" >>'${project}/npm-arguments'\ncd '${project}/node_modules'\nmkdir -p commander\ntouch commander/package.json\n` +
      `case " $* " in *' --include=dev '*) mkdir -p sqids; touch sqids/package.json ;; esac\ntouch .package-lock.json\n`,
  );
  await chmod(join(directory, 'npm'), 0o755);
  return {
    path: `${directory}:${dirname(process.execPath)}:/usr/bin:/bin`,
    calls: async () => (await readFile(join(project, 'npm-arguments'), 'utf8').catch(() => '')).trim().split('\n').filter(Boolean),
  };
}

/** Starts a command in a project and waits until the program is ready. */
async function start(project: string, [command = '', ...args]: readonly string[], changes: Record<string, string> = {}) {
  const child = spawn(command, args, {
    cwd: project,
    env: { PATH: `${dirname(process.execPath)}:${env['PATH']}`, HOME: project, ...changes },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  onTestFinished(async () => {
    if (!hasEnded) killGroup(child, 'SIGKILL');
    await ended;
  });
  await eventually('the program is ready', () => stdout.includes('ready') || hasEnded);
  const printed = (): string[] =>
    stdout
      .replaceAll('^C', '')
      .split(/\r?\n/)
      .filter((line) => /^(SIG\w+|ended)$/.test(line));
  return { child, ended, printed, stdout: () => stdout, stderr: () => stderr };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  process.kill(-(child.pid as number), signal);
}

/** Returns the ids of the processes whose command line contains a text. */
async function processesWith(text: string): Promise<number[]> {
  const { stdout } = await run('pgrep', ['-f', text]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

describe('a signal reaches the program once', () => {
  const DIRECT = ['node', 'bin/clickledger.js'];
  const NPM = ['npm', 'start', '--silent'];
  test.each(
    (['SIGINT', 'SIGTERM'] as const).flatMap((signal) => [
      [signal, 'to bin/clickledger.js alone', DIRECT, (child: ChildProcess) => child.kill(signal)] as const,
      [signal, 'to its process group', DIRECT, (child: ChildProcess) => killGroup(child, signal)] as const,
      [signal, 'to npm alone', NPM, (child: ChildProcess) => child.kill(signal)] as const,
      [signal, 'to the process group of npm', NPM, (child: ChildProcess) => killGroup(child, signal)] as const,
    ]),
  )('%s %s', async (signal, _, command, send) => {
    const project = await createProject();
    const program = await start(project, command);
    send(program.child);
    await program.ended;
    await eventually('the program has ended', async () => (await processesWith(project)).length === 0);
    expect(program.printed()).toEqual([signal, 'ended']);
  });

  test('SIGINT by `timeout`', async () => {
    const project = await createProject();
    const program = await start(project, ['timeout', '-s', 'INT', '2', 'node', 'bin/clickledger.js']);
    expect(await program.ended).toBe(124);
    expect(program.printed()).toEqual(['SIGINT', 'ended']);
  });

  test.each([DIRECT, NPM])('Ctrl-C on a terminal, with %s', async (...command) => {
    const project = await createProject();
    const program = await start(project, ['script', '-qefc', command.join(' '), '/dev/null'], { TERM: 'xterm' });
    program.child.stdin.write('\x03');
    await program.ended;
    expect(program.printed()).toEqual(['SIGINT', 'ended']);
  });

  test('each of several signals', async () => {
    const project = await createProject();
    const program = await start(project, ['node', 'bin/clickledger.js']);
    killGroup(program.child, 'SIGHUP');
    killGroup(program.child, 'SIGINT');
    killGroup(program.child, 'SIGINT');
    await program.ended;
    expect(program.printed().toSorted()).toEqual(['SIGHUP', 'SIGINT', 'ended', 'ended']);
  });

  test('the program ends if bin/clickledger.js is killed', async () => {
    const project = await createProject();
    const program = await start(project, ['node', 'bin/clickledger.js']);
    program.child.kill('SIGKILL');
    await program.ended;
    await eventually('the program has ended', async () => (await processesWith(project)).length === 0);
    // The kernel may send the signal once for each thread of the killed process.
    expect([...new Set(program.printed())]).toEqual(['SIGTERM', 'ended']);
  });
});

describe('the packages', () => {
  const TOOLS = ['node', 'bin/bootstrap.js', 'cli/main.ts'];
  const COMMAND = ['node', 'bin/clickledger.js'];

  test.each([
    ['nothing is installed if nothing is missing', {}, TOOLS, false],
    ['a command needs no packages for tests', { missing: ['sqids'] }, COMMAND, false],
    ['a command installs what it needs', { missing: ['commander'] }, COMMAND, true],
    ['tests install what they need, whatever was installed before', { missing: ['sqids'] }, TOOLS, true],
    ['a newer lock file is installed', { lockIsNew: true }, COMMAND, true],
  ] as const)(
    '%s',
    async (_, { missing = [], lockIsNew = false }: { missing?: readonly string[]; lockIsNew?: boolean }, command, installs) => {
      const project = await createProject({ missing: [...missing], lockIsNew });
      const { path, calls } = await withRecordedNpm(project);
      for (const attempt of ['first', 'second'] as const) {
        const program = await start(project, command, { PATH: path, NODE_ENV: 'production' });
        program.child.kill('SIGTERM');
        await program.ended;
        // In this case the lock file has a time in the future, so it is still newer after the installation.
        const expected = lockIsNew ? { first: 1, second: 2 }[attempt] : Number(installs);
        expect(await calls(), attempt).toHaveLength(expected);
      }
      const withTools = command === TOOLS;
      for (const call of await calls()) {
        expect(call).toMatch(/^install .*--include=optional/);
        expect(call.includes('--include=dev')).toBe(withTools);
      }
    },
  );

  test('npm itself installs what tests need in production', async ({ skip }) => {
    const project = await createProject({ missing: ['commander', 'sqids'] });
    await rm(join(project, 'node_modules'), { recursive: true });
    const changes = {
      NODE_ENV: 'production',
      npm_config_omit: 'dev',
      npm_config_ignore_scripts: 'true',
      npm_config_prefer_offline: 'true',
    };
    const own = Object.fromEntries(
      Object.entries(env).filter(([name]) => /^(HOME|npm_config_.*|.*_proxy|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS)$/i.test(name)),
    ) as Record<string, string>;
    for (const script of ['start', 'test']) {
      const program = await start(project, ['npm', 'run', script, '--silent'], { ...own, ...changes });
      if (/ENOTFOUND|ENOTCACHED|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT/.test(program.stderr())) skip('npm reaches no registry');
      program.child.kill('SIGTERM');
      await program.ended;
      expect(program.stdout(), program.stderr()).toContain('ready');
    }
    for (const name of ['commander', 'sqids']) await readFile(join(project, 'node_modules', name, 'package.json'));
  });
});

describe('Node', () => {
  /** Makes bin/bootstrap.js believe that it runs in an old version of Node. */
  const OLD = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})`;

  test('is that of the machine if the pinned one was not put in place, and if it is new enough', async () => {
    const program = await start(await createProject(), ['node', 'bin/clickledger.js']);
    program.child.kill('SIGTERM');
    await program.ended;
    expect(program.stdout()).toContain(JSON.stringify(process.execPath));
  });

  test('is asked for, with the command to type, if that of the machine is too old', async () => {
    const project = await createProject();
    await cp(join(ROOT, 'node_modules', 'node', 'package.json'), join(project, 'node_modules', 'node', 'package.json'));
    const program = await start(project, ['node', '--import', OLD, 'bin/clickledger.js']);
    expect(await program.ended).toBe(1);
    expect(program.stderr()).toMatch(/^clickledger: this needs Node 24 or later, and this is Node 20\.20\.2\. .*`ignore-scripts`/);
    expect(program.stderr()).toContain(`cd ${project} && npm rebuild --ignore-scripts=false node\n`);
  });
});

describe('the environment', () => {
  async function environmentOf(command: readonly string[], changes: Record<string, string>): Promise<Record<string, string>> {
    const program = await start(await createProject(), command, changes);
    program.child.kill('SIGTERM');
    await program.ended;
    return (JSON.parse(program.stdout().split('\n')[0] ?? '') as { env: Record<string, string> }).env;
  }

  test('of tests has no variables of libpq', async () => {
    const passed = await environmentOf(['node', 'bin/bootstrap.js', 'cli/main.ts'], { PGSSLMODE: 'require', PGHOST: 'db', PAGER: 'less' });
    expect(Object.keys(passed).filter((name) => name.startsWith('PG'))).toEqual([]);
    expect(passed['PAGER']).toBe('less');
  });

  test.each([
    [{}, 'localhost,127.0.0.1,::1'],
    [{ NO_PROXY: '.corp' }, '.corp,localhost,127.0.0.1,::1'],
    [{ no_proxy: 'a,b', NO_PROXY: '.corp' }, 'a,b,localhost,127.0.0.1,::1'],
  ])('keeps requests to this machine from a proxy: %j', async (changes, expected) => {
    expect(await environmentOf(['node', 'bin/clickledger.js'], changes)).toMatchObject({ no_proxy: expected, NO_PROXY: expected });
  });
});
