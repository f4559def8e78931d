import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readRowGroups } from '../../export/read-parquet.ts';
import { openS3, parseS3Url, type S3Storage } from '../../export/s3.ts';
import { clickledger } from '../support/commands.ts';
import { BUCKET, type S3Server, startS3Server } from '../support/s3-server.ts';
import { createExportWorld, type ExportWorld } from './world.ts';

// Exports to a server with the interface of S3.

const EVENTS = 2_000;

let world: ExportWorld;

beforeAll(async () => {
  world = await createExportWorld(1, 100);
  await world.generate({ count: EVENTS, people: 100, days: 2 });
});
afterAll(() => world.close());

async function open(server: S3Server, changes: Partial<Parameters<typeof openS3>[1]> = {}, prefix = 'newsletters'): Promise<S3Storage> {
  const storage = await openS3(`s3://${BUCKET}/${prefix}`, {
    accessKeyId: 'S3RVER',
    secretAccessKey: 'S3RVER',
    sessionToken: '',
    region: 'us-east-1',
    endpoint: server.url,
    isPathStyle: true,
    ...changes,
  });
  onTestFinished(() => storage.close());
  return storage;
}

/** The identities of the events in the files of the manifest. */
async function readIds(storage: S3Storage): Promise<string[]> {
  const target = await world.open(storage);
  const ids: string[] = [];
  for (const { path } of target.manifest().files.filter(({ table }) => table === 'events'))
    for await (const rows of readRowGroups(await storage.open(path), ['gen', 'off']))
      for (const [gen, off] of rows) ids.push(`${Buffer.from(gen as Uint8Array).toString('hex')}:${String(off)}`);
  return ids;
}

test('the command exports to a bucket, and a second time only what is new', async () => {
  const server = await startS3Server({ conditional: true });
  const run = async () => {
    const env = { ...server.env, ANALYST_URL: world.databases.roleUrls.analyst, SHARDS: world.databases.shardsText };
    const { code, stdout, stderr } = await clickledger(['--json', 'export', '--to', `s3://${BUCKET}/newsletters`, '--wait', '0'], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as object;
  };
  expect(await run()).toMatchObject({ to: `s3://${BUCKET}/newsletters/`, rows: EVENTS, due_bytes: 0 });
  expect(await run()).toMatchObject({ rows: 0, files: 0 });
  const ids = await readIds(await open(server));
  expect(ids.length).toBe(EVENTS);
  expect(new Set(ids).size).toBe(EVENTS);
});

test('of two exports at once the earlier one fails, and removes or adds nothing', async () => {
  const server = await startS3Server({ conditional: true });
  const first = await world.open(await open(server));
  const second = await world.open(await open(server));
  await expect(world.run(first)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('only one may write') });
  expect(await world.run(second)).toMatchObject({ rows: EVENTS });
  const storage = await open(server);
  expect((await readIds(storage)).length).toBe(EVENTS);
  // What the first one stored before it failed is gone.
  const known = new Set((await world.open(storage)).manifest().files.map(({ path }) => path));
  expect([...(await storage.list()).keys()].filter((path) => path.endsWith('.parquet') && !known.has(path))).toEqual([]);
});

test('a server without conditional PUTs is noticed', async () => {
  const server = await startS3Server({ conditional: false });
  const storage = await open(server);
  expect(storage.isConditional).toBe(false);
  const target = await world.open(storage);
  await world.open(await open(server));
  await expect(world.run(target)).rejects.toMatchObject({ code: 'conflict' });
  const env = { ...server.env, ANALYST_URL: world.databases.roleUrls.analyst, SHARDS: world.databases.shardsText };
  const { stderr } = await clickledger(['export', '--to', `s3://${BUCKET}/other`, '--kind', 'goal'], { env });
  expect(stderr).toContain('no conditional PUT: make sure that only one export writes');
});

test('mistakes in the settings have messages that say what to do', async () => {
  const server = await startS3Server({ conditional: true });
  await expect(open(server, { secretAccessKey: 'wrong' })).rejects.toMatchObject({
    code: 'bad-settings',
    message: expect.stringContaining('AWS_*'),
  });
  await expect(
    openS3('s3://missing-bucket/x', {
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
      sessionToken: '',
      region: 'us-east-1',
      endpoint: server.url,
      isPathStyle: true,
    }),
  ).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('missing-bucket'),
  });
  for (const wrong of ['s3://', 's3:/warehouse/x', 's3://Ware_House/x', 's3://warehouse/a b', 's3://warehouse/a?b'])
    expect(() => parseS3Url(wrong), wrong).toThrow('write s3://bucket/prefix');
  expect(parseS3Url('s3://warehouse')).toEqual({ bucket: 'warehouse', prefix: '' });
  expect(parseS3Url('s3://warehouse/a/b/')).toEqual({ bucket: 'warehouse', prefix: 'a/b/' });
});

test('more files are listed than one answer has', async () => {
  const server = await startS3Server({ conditional: true, pageKeys: 3 });
  const storage = await open(server, {}, 'many');
  const local = join(storage.workDir, 'file');
  const paths = Array.from({ length: 7 }, (_, i) => `a&b/${i}`);
  for (const path of paths) {
    await writeFile(local, 'x');
    await storage.store(local, path, '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881');
  }
  expect([...(await storage.list())]).toEqual(paths.map((path) => [path, 1]));
  expect(server.requests.filter((request) => request.includes('continuation-token')).length).toBe(2);
});
