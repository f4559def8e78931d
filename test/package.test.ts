import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { authorSettings, BASE, insertCampaign, trackedAddresses } from './support/authors.ts';
import { clickledger, type CommandResult } from './support/commands.ts';
import { createDatabases, type Databases } from './support/databases.ts';

// Packs the project, installs it in another project, and tests what `npm install clickledger` provides.

const root = fileURLToPath(new URL('..', import.meta.url));
const SALE = 'https://shop.example/sale?a=1&b=2';

let project: string;
let packed: string[];
let databases: Databases;

/** Runs a program as the shell of a user would, without the environment variables of the tests. */
function program(command: string, args: readonly string[], options: { cwd: string; env?: Record<string, string> }): Promise<CommandResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: {
      PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
      HOME: process.env['HOME'],
      ...Object.fromEntries(
        Object.entries(process.env).filter(([name]) => /^(npm_config_.*|.*_proxy|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS)$/i.test(name)),
      ),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ended.stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ended, code }));
  });
}

async function stdoutOf(ended: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await ended;
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

const runInProject = (command: string, ...args: string[]) => program(command, args, { cwd: project, env: authorSettings(databases) });
const runInstalled = (...args: string[]) => runInProject(join(project, 'node_modules', '.bin', 'clickledger'), ...args);

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  project = join(directory, 'project');
  const packing = stdoutOf(program('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: root }));
  const [made, name] = await Promise.all([createDatabases(1), packing]);
  databases = made;
  const tarball = join(directory, name.trim().split('\n').at(-1) as string);
  packed = (await stdoutOf(program('tar', ['-tzf', tarball], { cwd: directory }))).trim().split('\n').toSorted();
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{ "name": "somebody", "private": true, "type": "module" }');
  // Install scripts are skipped, because they download binaries that these tests do not need. npm takes packages from its cache if the
  // cache has them.
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error', tarball];
  await stdoutOf(program('npm', install, { cwd: project }));
  return () => rm(directory, { recursive: true, force: true });
}, 180_000);

describe('the package', () => {
  test('has JavaScript, declarations and what is read at run time, and nothing else', () => {
    const names = packed.map((name) => name.replace(/^package\//, ''));
    expect(names).toEqual(
      expect.arrayContaining([
        'package.json',
        'LICENSE',
        'README.md',
        'bin/clickledger.js',
        'dist/cli/main.js',
        'dist/authoring/tracker.js',
        'dist/authoring/tracker.d.ts',
        'dist/core/networks.json',
        'dist/log-agent/networks.bin',
        'dist/nginx/nginx.conf.template',
        'dist/nginx/tracking.conf.template',
        'dist/nginx/server.conf.template',
        'dist/nginx/to-https.conf.template',
        'dist/nginx/start.sh',
        'dist/nginx/logrotate.conf',
        'dist/reports/campaign-summary.sql',
        'dist/sql/catalog/0001-catalog.sql',
        'dist/sql/shard/0001-shard.sql',
      ]),
    );
    expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
    expect(names.filter((name) => /\.test\.|(?:^|\/)(?:test|bench|node_modules|\.[^/]+)(?:\/|$)|(?:^|\/)env$|\.tgz$/.test(name))).toEqual(
      [],
    );
  });

  test('has everything that the sources beside it read: SQL, reports and nginx files, byte for byte', async () => {
    const listed = (
      await stdoutOf(program('git', ['ls-files', 'sql', 'reports', 'nginx', 'core/*.json', 'log-agent/networks.bin'], { cwd: root }))
    )
      .split('\n')
      .filter((name) => name !== '' && !name.endsWith('.ts'));
    expect(listed.length).toBeGreaterThan(10);
    for (const name of listed) {
      const inside = join(project, 'node_modules', 'clickledger', 'dist', name);
      expect([name, await readFile(inside, 'utf8').catch(() => undefined)]).toEqual([name, await readFile(join(root, name), 'utf8')]);
    }
  });
});

describe('in a project of its own', () => {
  test('a letter in Markdown or MJML needs a package that is not installed with clickledger', async () => {
    await writeFile(join(project, 'letter.md'), '[a](https://shop.example/)');
    await writeFile(join(project, 'letter.mjml'), '<mjml></mjml>');
    for (const [letter, name] of [
      ['letter.md', 'marked'],
      ['letter.mjml', 'mjml'],
    ] as const)
      expect(await runInstalled('prepare', letter, '--dry-run')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining(`the package ${name} is not installed. Install it beside clickledger with \`npm install ${name}\``),
      });
  });

  test('the API makes the same addresses as the command', async () => {
    await insertCampaign(databases, 'spring');
    await writeFile(
      join(project, 'send.js'),
      `import { ClickledgerError, createTracker } from 'clickledger';
       const tracker = await createTracker();
       const url = await tracker.url(${JSON.stringify(SALE)}, { campaign: 'spring', to: 'ann@shop.example' });
       const letter = await tracker.prepare({ campaign: 'spring', html: '<a href="https://shop.example/new">x</a>' });
       const { html } = await letter.for({ email: 'ann@shop.example' });
       const error = await tracker.url('nonsense', { campaign: 'spring' }).catch((caught) => caught);
       console.log(JSON.stringify({ url, html, code: error instanceof ClickledgerError && error.code }));
       await tracker.close();`,
    );
    const { code, stdout, stderr } = await runInProject('node', 'send.js');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as { url: string; html: string; code: string };
    const args = ['url', SALE, '--campaign', 'spring', '--to', 'ann@shop.example'];
    const [ours, theirs] = await Promise.all([clickledger(args, { cwd: project, env: authorSettings(databases) }), runInstalled(...args)]);
    expect(ours.stdout).toBe(`${result.url}\n`);
    expect(theirs).toEqual(ours);
    expect(result.code).toBe('bad-input');
    expect(trackedAddresses(databases, result.html)).toHaveLength(2);
  });

  test('the program of examples/ prints the letters of two people, and the reason why the third gets none', async () => {
    await copyFile(join(root, 'examples', 'program', 'send.js'), join(project, 'example.js'));
    const { code, stdout, stderr } = await runInProject('node', 'example.js');
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'not an address: bad-address\n' });
    const letters = stdout.trim().split('\n');
    expect(letters.map((letter) => /Dear (\w+),/.exec(letter)?.[1])).toEqual(['Ann', 'Bob']);
    for (const letter of letters) expect(trackedAddresses(databases, letter)).toHaveLength(2);
  });

  test('the API has types: a right use passes the compiler, wrong ones do not', async () => {
    const start = `import { createTracker, ClickledgerError, type Tracker, type TrackerPerson } from 'clickledger';\n`;
    await writeFile(
      join(project, 'right.ts'),
      `${start}import { trackMail } from 'clickledger/nodemailer';
       const tracker: Tracker = await createTracker({ settings: { BASE_URL: '${BASE}' } });
       const id: number = await tracker.campaign('spring', { fallback: 'https://shop.example' });
       const url: string = await tracker.url('https://shop.example', { campaign: id, to: 'ann@shop.example', expires: new Date() });
       const people: (TrackerPerson & { n: number })[] = [{ n: 1, email: 'ann@shop.example', columns: { name: 'Ann' } }];
       const letter = await tracker.prepare({ campaign: 'spring', html: url, utm: { source: 'x' }, pixel: 'top', fill: true });
       for await (const result of letter.forAll(people)) {
         if ('letter' in result) console.log(result.person.n + 1, result.letter.html?.length);
         else { const why: 'duplicate' | 'conflict' | 'no-address' | 'bad-address' | 'no-id' | 'bad-id' | 'not-subscribed' | 'unsubscribed' = result.rejected; console.log(why); }
       }
       for (const { id: link, part } of letter.links) { const kind: 'html' | 'text' = part; console.log(link.toFixed(), kind); }
       trackMail(tracker, { campaign: 'spring', utm: { source: 'x' } });
       try { await tracker.close(); } catch (error) { if (error instanceof ClickledgerError && error.code === 'bad-input') throw error; }`,
    );
    const wrong = [
      `await (await createTracker()).url('https://shop.example');`,
      `await (await createTracker()).prepare({ campaign: 'x', pixel: 'middle' });`,
      `const url: number = await (await createTracker()).pixel({ campaign: 1 }); console.log(url);`,
      `(await createTracker()).nothing();`,
      `await createTracker({ settings: 'x' });`,
      `const error = new ClickledgerError('no-such-code', 'x'); console.log(error);`,
      `for (const kept of (await (await createTracker()).prepare({ campaign: 1 })).kept) if (kept.reason === 'no-such-reason') console.log(kept);`,
    ];
    await Promise.all(wrong.map((line, i) => writeFile(join(project, `wrong-${i}.ts`), `${start}${line}\n`)));
    const compile = (...files: string[]) =>
      runInProject(
        join(root, 'node_modules', '.bin', 'tsc'),
        ...'--noEmit --module nodenext --strict --skipLibCheck --target es2022 --lib es2022,dom'.split(' '),
        ...files,
      );
    const [right, others] = await Promise.all([compile('right.ts'), compile(...wrong.map((_, i) => `wrong-${i}.ts`))]);
    expect({ code: right.code, stdout: right.stdout }).toEqual({ code: 0, stdout: '' });
    expect(others.code).not.toBe(0);
    const filesWithErrors = new Set(Array.from(others.stdout.matchAll(/^wrong-(\d+)\.ts\(2,/gm), ([, i]) => Number(i)));
    expect(filesWithErrors).toEqual(new Set(wrong.keys()));
  });

  test('the command says what it is, reports, and looks at a letter', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    await writeFile(join(project, 'letter.html'), `<a href="https://shop.example/new">new</a> <a href="mailto:a@shop.example">write</a>`);
    const [help, versionResult, reports, plan] = await Promise.all([
      runInstalled('--help'),
      runInstalled('--version'),
      runInstalled('report', '--json'),
      runInstalled('prepare', 'letter.html', '--dry-run'),
    ]);
    expect({ code: help.code, stderr: help.stderr }).toEqual({ code: 0, stderr: '' });
    expect(help.stdout).toContain('prepare [options] <letter>');
    expect(versionResult).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(JSON.parse(reports.stdout)).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'campaign-summary' })]));
    expect({ code: plan.code, stderr: plan.stderr }).toEqual({
      code: 0,
      stderr: '1 of 2 links would be tracked, and a pixel would be added\n  not tracked: 1 not-http (--dry-run lists them)\n',
    });
  });

  test('the command sets up a database with the SQL that it brought, and reports on it', async () => {
    const env = {
      ...authorSettings(databases),
      CATALOG_URL: databases.ownerUrl,
      ANALYST_URL: databases.roleUrls.analyst,
      FORWARDER_URL: databases.roleUrls.forwarder,
    };
    const roles = { BACKEND_URL: databases.roleUrls.backend, WORKER_URL: databases.roleUrls.worker };
    const command = join(project, 'node_modules', '.bin', 'clickledger');
    const [migrated, report] = await Promise.all([
      program(command, ['migrate'], { cwd: project, env: { ...env, ...roles } }),
      program(command, ['report', 'campaign-summary', '--json'], { cwd: project, env }),
    ]);
    expect(migrated).toEqual({ code: 0, stdout: 'up to date\n', stderr: '' });
    expect(report.code).toBe(0);
    expect(JSON.parse(report.stdout)).toBeInstanceOf(Array);
  });
});
