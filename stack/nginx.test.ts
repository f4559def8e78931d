import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rawRequest } from '../test/support/raw-http.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { locate } from './debian.ts';
import { httpStatus } from './http.ts';
import { startNginx } from './nginx.ts';
import { freePort } from './ports.ts';

// Tests how nginx/start.sh rotates the access log without logrotate.

async function nginxWith(env: Record<string, string>): Promise<{
  port: number;
  logDir: string;
  logs: () => Promise<string[]>;
  stop: () => Promise<void>;
}> {
  const directory = await temporaryDirectory();
  const logDir = join(directory, 'logs');
  const port = await freePort();
  const nginx = await startNginx({ logDir, runDir: join(directory, 'run'), port, backendPorts: [await freePort()], env });
  onTestFinished(() => nginx.stop());
  return { port, logDir, logs: async () => (await readdir(logDir)).toSorted(), stop: () => nginx.stop() };
}

async function requestIds(logDir: string): Promise<string[]> {
  const texts = await Promise.all((await readdir(logDir)).map((name) => readFile(join(logDir, name), 'utf8')));
  return texts.flatMap((text) => Array.from(text.matchAll(/^\{"v":2,"rid":"([0-9a-f]{32})".*\}$/gm), ([, id]) => id as string));
}

describe('start.sh', () => {
  test('puts the log aside whenever it is large enough, and every hit is in one of them', async () => {
    const { port, logDir, logs, stop } = await nginxWith({ ROTATE_MIB: '1' });
    const agent = 'x'.repeat(8_000);
    let sent = 0;
    await eventually('the log is rotated three times', async () => {
      await Promise.all(Array.from({ length: 16 }, () => rawRequest(port, 'GET', '/r/00abcdefghijklmnopq.gif', { 'User-Agent': agent })));
      sent += 16;
      return (await logs()).length > 3;
    });
    await stop();
    const ids = await requestIds(logDir);
    expect(ids).toHaveLength(sent);
    expect(new Set(ids).size).toBe(sent);
  });

  test('puts the log aside when it is old enough, but never an empty one', async () => {
    const { port, logDir, logs } = await nginxWith({ ROTATE_SECONDS: '2' });
    const names = async () => (await logs()).length;
    let sent = 0;
    const hit = async () => {
      await rawRequest(port, 'GET', '/r/00abcdefghijklmnopq.gif');
      sent++;
    };
    await hit();
    await eventually('the log with the first hit is rotated', async () => (await names()) === 2);
    await eventually('a hit is in the new log, which nginx opens a moment later, or in the second rotated log', async () => {
      await hit();
      const { size } = await stat(join(logDir, 'access.log')).catch(() => ({ size: 0 }));
      return size > 0 || (await names()) === 3;
    });
    await eventually('the new log is rotated', async () => (await names()) === 3);
    // No hit follows, so the log is empty and must not be rotated again.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const lines = await Promise.all(
      (await logs()).map(async (name) => (await readFile(join(logDir, name), 'utf8')).split('\n').length - 1),
    );
    expect(lines).toEqual([0, expect.any(Number), expect.any(Number)]);
    expect(lines.slice(1)).not.toContain(0);
    expect(lines.reduce((sum, count) => sum + count)).toBe(sent);
  });

  test('gives the last log a name that no other has', async () => {
    const directory = await temporaryDirectory();
    const logDir = join(directory, 'logs');
    await mkdir(logDir);
    await writeFile(join(logDir, 'access.log'), 'the last log\n');
    // The first name that start.sh tries is in use for each of the next 60 seconds.
    const usedTimes = Array.from({ length: 60 }, (_, i) => new Date(Date.now() + i * 1000).toISOString().replace(/[-:]|\.\d+/g, ''));
    for (const second of usedTimes) await writeFile(join(logDir, `access.log.${second}.0`), 'another log\n');
    const nginx = await startNginx({ logDir, runDir: join(directory, 'run'), port: await freePort(), backendPorts: [await freePort()] });
    onTestFinished(() => nginx.stop());
    const texts = await Promise.all((await readdir(logDir)).map((name) => readFile(join(logDir, name), 'utf8')));
    expect(texts.filter((text) => text === 'another log\n')).toHaveLength(usedTimes.length);
    expect(texts.filter((text) => text === 'the last log\n')).toHaveLength(1);
  });

  test('leaves nothing running when nginx ends or is killed', async () => {
    for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
      const directory = await temporaryDirectory();
      const port = await freePort();
      // startNginx is not used here, because it stops the whole process group when nginx exits.
      const child = spawn('/bin/sh', [fileURLToPath(new URL('../nginx/start.sh', import.meta.url))], {
        env: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          NGINX_BIN: await locate('nginx'),
          NGINX_RUN_DIR: join(directory, 'run'),
          NGINX_USER: 'root',
          NGINX_WORKERS: '1',
          LOG_DIR: join(directory, 'logs'),
          BACKENDS: '127.0.0.1:1',
          LISTEN: `127.0.0.1:${port}`,
          ROTATE_MIB: '1',
        },
        stdio: 'ignore',
      });
      await eventually('nginx answers', async () => (await httpStatus(port, '/')) === 404);
      expect((await processesOf(directory)).toSorted()).toEqual(expect.arrayContaining(['nginx', 'sh']));
      // nginx is designed so that workers continue to run when the master process is killed. So the test kills them itself.
      const workers = (await childrenOf(child.pid as number)).filter(({ name }) => name === 'nginx');
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
      if (signal === 'SIGKILL') for (const { pid } of workers) process.kill(pid);
      await eventually('no process is left', async () => (await processesOf(directory)).length === 0);
    }
  });
});

/** Returns the names of the processes whose command line or environment contains the path of a directory. */
async function processesOf(directory: string): Promise<string[]> {
  const names: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [line, environment, name] = await Promise.all(
      ['cmdline', 'environ', 'comm'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (`${line}${environment}`.includes(directory)) names.push(name?.trim() ?? '');
  }
  return names;
}

async function childrenOf(parent: number): Promise<{ pid: number; name: string }[]> {
  const pids = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(' ').map(Number);
  return Promise.all(pids.map(async (pid) => ({ pid, name: (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() })));
}

describe('FALLBACK_URL', () => {
  test('may have any character of a URL, and nothing that would be a part of the configuration', async () => {
    const url = `https://www.example.org/?a='b'&c={d};e=#f%24g~(h),[i]!*+@|\`^<>`;
    const { port } = await nginxWith({ FALLBACK_URL: url });
    expect((await rawRequest(port, 'GET', '/u/00abcdefghijklmnopq')).headers.get('location')).toBe(url);
    for (const wrong of ['$host', '"', '"; return 200 "x', 'x\nreturn 200;', 'a b', 'ü', '\\'])
      await expect(nginxWith({ FALLBACK_URL: `https://www.example.org/${wrong}` })).rejects.toThrow('FALLBACK_URL has characters');
    for (const wrong of ['www.example.org', '/later', 'https://', 'javascript:alert(1)', 'https:///x'])
      await expect(nginxWith({ FALLBACK_URL: wrong })).rejects.toThrow('FALLBACK_URL must be');
  });

  test('is not needed: without it, a click that no backend answers gets 502 and is not logged', async () => {
    const { port, logDir } = await nginxWith({});
    expect((await rawRequest(port, 'GET', '/u/00abcdefghijklmnopq')).status).toBe(502);
    expect(await requestIds(logDir)).toEqual([]);
  });
});
