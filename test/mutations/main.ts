import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { type Mutation, MUTATIONS } from './list.ts';

// Breaks one mechanism at a time in a copy of the product, and checks that the test of the mechanism fails.

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

const program = new Command('test:mutations')
  .description('Breaks each mechanism in a copy of the project and checks that its test fails.')
  .option('--only <text>', 'only mechanisms that contain this text')
  .addHelpText('after', '\nExample:\n  npm run test:mutations -- --only "window"')
  .parse();
const { only } = program.opts<{ only?: string }>();

const copy = await mkdtemp(join(tmpdir(), 'clickledger-mutations-'));
let survived = 0;
try {
  const { stdout } = await run('git', ['ls-files'], { cwd: root, maxBuffer: 2 ** 24 });
  for (const file of stdout.split('\n').filter(Boolean)) await cp(join(root, file), join(copy, file));
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  await symlink(join(root, '.cache'), join(copy, '.cache'));
  const chosen = MUTATIONS.filter(({ mechanism }) => only === undefined || mechanism.includes(only));
  for (const mutation of chosen) {
    const isDetected = await detects(mutation);
    if (!isDetected) survived++;
    process.stdout.write(`${isDetected ? 'detected' : 'SURVIVED'}  ${mutation.mechanism}  (${mutation.test}: ${mutation.name})\n`);
  }
  process.stdout.write(`\n${chosen.length - survived} of ${chosen.length} broken mechanisms were detected\n`);
} finally {
  await rm(copy, { recursive: true, force: true });
}
process.exitCode = survived === 0 ? 0 : 1;

async function detects({ file, from, to, test, name }: Mutation): Promise<boolean> {
  const path = join(copy, file);
  const original = await readFile(path, 'utf8');
  if (original.split(from).length !== 2) throw new Error(`${file} must contain this text exactly once: ${from}`);
  await writeFile(
    path,
    original.replace(from, () => to),
  );
  try {
    // Reads the report of the run, because only a failed test counts. A run that could not start does not count.
    const { stdout } = await run(
      join(copy, 'node_modules/.bin/node'),
      ['node_modules/vitest/vitest.mjs', 'run', test, '-t', name, '--reporter=json'],
      {
        cwd: copy,
        maxBuffer: 2 ** 26,
      },
    ).catch((error: unknown) => error as { stdout: string });
    const report = JSON.parse(stdout.slice(stdout.indexOf('{"numTotal'))) as {
      testResults: { assertionResults: { title: string; status: string }[] }[];
    };
    const ran = report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === 'passed' || status === 'failed');
    if (ran.length === 0) throw new Error(`no test in ${test} has this text in its name: ${name}`);
    return ran.some(({ status }) => status === 'failed');
  } finally {
    await writeFile(path, original);
    await stopLeftovers();
  }
}

/** Kills the processes that the broken product has left: all processes whose working directory is the copy. */
async function stopLeftovers(): Promise<void> {
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    const directory = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (directory === copy) process.kill(Number(pid), 'SIGKILL');
  }
}
