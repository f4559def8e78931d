import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { appendFile, readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../stack/ports.ts';
import { rawRequest } from '../support/raw-http.ts';
import { outputOf } from '../support/commands.ts';
import { eventually, temporaryDirectory } from '../support/servers.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../bin/clickledger.js', import.meta.url));
// The test runner sets a BASE_URL in the environment, which must not reach the commands.
const { BASE_URL: _, ...env } = process.env;
const BROWSER = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };

interface Up {
  child: ChildProcess;
  /** The output on stdout so far. */
  text: () => string;
  ended: Promise<number | null>;
}

/** Starts `clickledger up` and waits until it has printed the next steps. */
async function startUp(dataDir: string, port: number, ...options: string[]): Promise<Up> {
  const child = spawn('node', [CLI, 'up', '--data', dataDir, '--port', String(port), ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env,
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  onTestFinished(async () => {
    if (!hasEnded) killGroup(child, 'SIGINT');
    await ended;
  });
  await eventually(`clickledger up is ready: ${errors}`, () => {
    if (hasEnded) throw new Error(`clickledger up ended: ${errors}`);
    return text.includes('Ctrl-C ends everything');
  });
  return { child, text: () => text, ended };
}

/** Sends a signal to the whole process group, as Ctrl-C does. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  process.kill(-(child.pid as number), signal);
}

/** Returns the command lines of all processes that use a data directory. */
async function processesOf(dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [line, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (Number(pid) !== process.pid && (line?.includes(dataDir) || environment?.includes(dataDir))) found.push(line ?? '');
  }
  return found;
}

const cli = (dataDir: string, ...args: string[]): Promise<string> => outputOf([...args, '--data', dataDir]);

describe('clickledger up', () => {
  test('serves a first campaign, refuses a second one beside it, ends with nothing left, and has its data the next time', async () => {
    const dataDir = join(await temporaryDirectory(), 'data');
    const port = await freePort();
    const first = await startUp(dataDir, port);
    const url = /tracked URL\s+(\S+)/.exec(first.text())?.[1] ?? '';
    const pixel = /pixel\s+(\S+)/.exec(first.text())?.[1] ?? '';
    expect(url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${port}/u/[0-9A-Za-z]{17,19}$`));

    expect((await rawRequest(port, 'GET', new URL(url).pathname, BROWSER)).headers.get('location')).toBe(
      'https://www.example.com/?hello=clickledger',
    );
    expect((await rawRequest(port, 'GET', new URL(pixel).pathname, BROWSER)).status).toBe(200);
    const summary = async () =>
      JSON.parse(await cli(dataDir, 'report', 'campaign-summary', '--campaign', '1', '--json')) as { kind: string; human_hits: number }[];
    await eventually('both hits are in the report', async () => (await summary()).every(({ human_hits }) => Number(human_hits) === 1));

    const second = run('node', [CLI, 'up', '--data', dataDir], { env });
    await expect(second).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^clickledger: clickledger already runs on .*\n$/) as string,
    });

    killGroup(first.child, 'SIGINT');
    expect(await first.ended).toBe(0);
    expect(await processesOf(dataDir)).toEqual([]);

    await appendFile(join(dataDir, 'env'), 'SMTP_URL=smtp://shop:secret@mail.example.com\n');
    const again = await startUp(dataDir, port);
    expect(await readFile(join(dataDir, 'env'), 'utf8')).toContain('SMTP_URL=smtp://shop:secret@mail.example.com\n');
    expect(/tracked URL\s+(\S+)/.exec(again.text())?.[1]).toBe(url);
    expect((await summary()).map(({ human_hits }) => Number(human_hits))).toEqual([1, 1]);
    expect((await rawRequest(port, 'GET', new URL(url).pathname, BROWSER)).status).toBe(302);
    await eventually('the third hit is in the report', async () => (await summary()).some(({ human_hits }) => Number(human_hits) === 2));
  });

  test('leaves no process behind when it is killed, and starts again on what it left', async () => {
    const dataDir = join(await temporaryDirectory(), 'data');
    const port = await freePort();
    const first = await startUp(dataDir, port);
    expect((await processesOf(dataDir)).length).toBeGreaterThan(7);
    killGroup(first.child, 'SIGKILL');
    await first.ended;
    await eventually('every process is gone', async () => (await processesOf(dataDir)).length === 0);
    const again = await startUp(dataDir, port);
    expect(again.text()).toContain(`http://127.0.0.1:${port}/u/`);
    // A supervisor may send the signal to this process alone.
    again.child.kill('SIGINT');
    expect(await again.ended).toBe(0);
    expect(await processesOf(dataDir)).toEqual([]);
  });

  test('starts a part again that was killed', async () => {
    const dataDir = join(await temporaryDirectory(), 'data');
    const port = await freePort();
    await startUp(dataDir, port);
    const pidOf = async (name: string) =>
      Number((await readFile(join(dataDir, 'run', `${name}.pid`), 'utf8').catch(() => '0')).split(' ')[0]);
    for (const name of ['log-agent-1', 'event-worker-1', 'backend-1', 'nats', 'nginx-1', 'postgres']) {
      const pid = await pidOf(name);
      process.kill(pid, 'SIGKILL');
      await eventually(`${name} runs again`, async () => ![0, pid].includes(await pidOf(name)));
    }
    // A restarted process may not be ready yet.
    let url = '';
    await eventually('the catalog answers', async () => {
      url = (await cli(dataDir, 'url', 'https://www.example.com/x', '--campaign', '1').catch(() => '')).trim();
      return url !== '';
    });
    await eventually(
      'a click is redirected',
      async () => (await rawRequest(port, 'GET', new URL(url).pathname, BROWSER).catch(() => undefined))?.status === 302,
    );
    await eventually(
      'and counted',
      async () => (await cli(dataDir, 'report', 'campaign-summary', '--json').catch(() => '')).includes('"hits": 1'),
      60_000,
    );
  });

  test('with --watch, restarts the parts whose code changed, and no other', async () => {
    const dataDir = join(await temporaryDirectory(), 'data');
    await startUp(dataDir, await freePort(), '--watch');
    const pidsOf = async (...names: string[]) =>
      Promise.all(
        names.map(async (name) => (await readFile(join(dataDir, 'run', `${name}.pid`), 'utf8').catch(() => '')).split(' ')[0] ?? ''),
      );
    const backends = await pidsOf('backend-1', 'backend-2');
    const others = await pidsOf('log-agent-1', 'event-worker-1', 'postgres');
    const now = new Date();
    await utimes(fileURLToPath(new URL('../../backend/app.ts', import.meta.url)), now, now);
    await eventually('both backends run again', async () => {
      const pids = await pidsOf('backend-1', 'backend-2');
      return pids.every((pid, i) => pid !== '' && pid !== backends[i]);
    });
    expect(await pidsOf('log-agent-1', 'event-worker-1', 'postgres')).toEqual(others);
  });
});
