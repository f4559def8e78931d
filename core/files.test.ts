import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../test/support/servers.ts';
import { readEnvFile, writeEnvFile } from './env-file.ts';
import { replaceFile } from './files.ts';

describe('replaceFile', () => {
  test('writes the content whole, for the owner alone, and leaves nothing else behind', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'x.json');
    await replaceFile(path, 'old, and rather long');
    await replaceFile(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['x.json']);
  });

  test('a reader sees the old or the new content, never a part or nothing', async () => {
    const path = join(await temporaryDirectory(), 'x');
    const contents = ['a', 'b'].map((letter) => letter.repeat(100_000));
    await replaceFile(path, contents[0] as string);
    let writing = true;
    const seen = new Set<string>();
    const reader = (async () => {
      while (writing) seen.add(await readFile(path, 'utf8'));
    })();
    for (let i = 0; i < 20; i++) await replaceFile(path, contents[i % 2] as string);
    writing = false;
    await reader;
    expect([...seen].every((text) => contents.includes(text))).toBe(true);
  });

  test('a rest of an earlier attempt is no hindrance, and a failure leaves the old content', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'x');
    await writeFile(`${path}.tmp`, 'half of an earl');
    await replaceFile(path, 'old');
    await mkdir(`${path}.tmp`);
    await expect(replaceFile(path, 'new')).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await readFile(path, 'utf8')).toBe('old');
  });
});

describe('the env file', () => {
  const values = {
    BASE_URL: 'http://127.0.0.1:8080',
    CATALOG_URL: 'postgres://o:p%3D=s@h/db?a=b&c="d"',
    SHARDS: "a=00=postgres://h/x,b=V0=postgres://h/y # 'no comment'",
    MMDB_PATH: '',
  };

  test('is read as it was written, and by nobody else', async () => {
    const directory = await temporaryDirectory();
    await writeEnvFile(directory, values);
    expect(await readEnvFile(directory)).toEqual(values);
    expect((await stat(join(directory, 'env'))).mode & 0o777).toBe(0o600);
  });

  test('comments and lines that set nothing are passed over', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'env'), '# a comment\n\nPORT=1\nlower=2\n=3\nHOST = 4\n');
    expect(await readEnvFile(directory)).toEqual({ PORT: '1' });
  });

  test('a value of two lines is refused before anything is written', async () => {
    const directory = await temporaryDirectory();
    await expect(writeEnvFile(directory, { PORT: '1\nHOST=evil' })).rejects.toMatchObject({ code: 'bad-input' });
    expect(await readdir(directory)).toEqual([]);
  });

  test('where there is none, there are no settings; what cannot be read is an error', async () => {
    const directory = await temporaryDirectory();
    expect(await readEnvFile(directory)).toEqual({});
    expect(await readEnvFile(join(directory, 'nowhere'))).toEqual({});
    await writeFile(join(directory, 'file'), '');
    expect(await readEnvFile(join(directory, 'file'))).toEqual({});
    await mkdir(join(directory, 'env'));
    await expect(readEnvFile(directory)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});
