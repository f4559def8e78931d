import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import { generateApi } from 'swagger-typescript-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES } from '../../desk/api/routes.ts';
import { addCampaign, addHits, addLog } from '../support/campaigns.ts';
import { createTestApi, startTestApi, type TestApi } from '../support/api.ts';
import { createDatabases, type Databases } from '../support/databases.ts';

// The OpenAPI document: a validator checks it, and a client is generated from it, checked by the compiler, and used.

const ROOT = join(import.meta.dirname, '..', '..');
// The compiler finds the packages of the project from here.
const DIRECTORY = join(import.meta.dirname, 'generated');

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown>; security?: unknown[] }>>;
}

let databases: Databases;
let api: TestApi;
let document: Document;

beforeAll(async () => {
  databases = await createDatabases(1);
  api = await startTestApi(databases);
  document = JSON.parse((await api.app.inject('/api/v1/openapi.json')).body) as Document;
});
afterAll(async () => {
  await api?.app.close();
  await rm(DIRECTORY, { recursive: true, force: true });
});

test('the document is valid OpenAPI 3.1, and the validator would find a mistake', async () => {
  const validate = async (value: unknown) => new Validator().validate(structuredClone(value) as never);
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(await validate(document)).toMatchObject({ valid: true });
  const broken = structuredClone(document) as unknown as { paths: Record<string, Record<string, unknown>> };
  (broken.paths['/campaigns'] as Record<string, unknown>)['get'] = { responses: 'none' };
  expect(await validate(broken)).toMatchObject({ valid: false });
});

test('every reference leads to a schema, and every schema is used', () => {
  const text = JSON.stringify(document);
  const names = Object.keys((document as unknown as { components: { schemas: object } }).components.schemas);
  const used = new Set(Array.from(text.matchAll(/#\/components\/schemas\/(\w+)/g), ([, name]) => name as string));
  expect([...used].toSorted()).toEqual(names.toSorted());
  expect(text).not.toContain('$defs');
});

test('every route of the app is in the document, and the other way round', async () => {
  const { app } = createTestApi(databases);
  const found: string[] = [];
  app.addHook('onRoute', ({ url, method, config }) => {
    const isRefusal = (config as { isRefusal?: boolean } | undefined)?.isRefusal === true;
    if (!url.startsWith('/api/v1') || isRefusal) return;
    for (const each of [method].flat()) found.push(`${each} ${url.replace('/api/v1', '').replaceAll(/:(\w+)/g, '{$1}')}`);
  });
  await app.ready();
  await app.close();
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(found.toSorted()).toEqual(described.toSorted());
  expect(described).toHaveLength(ROUTES.length + 1);
  const ids = Object.values(document.paths).flatMap((operations) => Object.values(operations).map(({ operationId }) => operationId));
  expect(new Set(ids).size).toBe(ids.length);
});

const USE = `
import { Api, type Campaign } from './client.ts';

export async function use(baseUrl: string, author: string, analyst: string) {
  const client = (key: string) =>
    new Api<string>({ baseUrl, securityWorker: (token) => ({ headers: { authorization: \`Bearer \${token}\` } }), ...{ customFetch: fetch } });
  const writer = client(author);
  writer.setSecurityData(author);
  const reader = client(analyst);
  reader.setSecurityData(analyst);
  // @ts-expect-error: the name is missing
  const refused = await writer.campaigns.createCampaign({ fallback: null }).catch((answer: { status: number; error: { code: string } }) => answer);
  const created = await writer.campaigns.createCampaign({ name: 'by a client', fallback: 'https://shop.example/' });
  const campaign: Campaign = created.data;
  const link = await writer.campaigns.createLink(campaign.id, { target: 'https://shop.example/a' });
  const changed = await writer.links.changeLink(link.data.id, { target: 'https://shop.example/b' });
  const version: number = changed.data.version;
  // @ts-expect-error: there is no such field
  void changed.data.nothing;
  const person = await writer.recipients.putRecipients({ email: 'client@example.com' });
  const forgotten = await writer.recipients.forgetRecipient(person.data.recipient);
  const letter = await writer.campaigns.prepareLetters(campaign.id, { html: '<a href="https://shop.example/c">c</a>' });
  const page = await writer.campaigns.listCampaigns({ name: 'by a client', limit: 10 });
  const reports = await reader.reports.listReports();
  const rows = await reader.reports.runReport('campaign-summary', { campaign: 'Spring sale' });
  const page1 = await reader.events.readEvents({ kind: 'click,open', from: 'everything', limit: 1 });
  return { status: page1.status, refused, campaign, version, forgotten: forgotten.status, html: letter.data.html, page: page.data, reports: reports.data.reports.length, rows: rows.data };
}
`;

test('a generated client compiles, and works with the API', async () => {
  const { files } = await generateApi({
    spec: structuredClone(document) as never,
    output: false,
    httpClientType: 'fetch',
    generateUnionEnums: true,
    silent: true,
  });
  await mkdir(DIRECTORY, { recursive: true });
  await writeFile(join(DIRECTORY, 'client.ts'), files.map(({ fileContent }) => fileContent).join('\n'));
  await writeFile(join(DIRECTORY, 'use.ts'), USE);
  const compilerOptions = {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    allowImportingTsExtensions: true,
  };
  await writeFile(join(DIRECTORY, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const compiled = await promisify(execFile)(process.execPath, [tsc, '--project', DIRECTORY]).catch((error: { stdout: string }) => error);
  expect(compiled.stdout).toBe('');

  const { campaign, links } = await addCampaign(databases, 'Spring sale', 100);
  await addHits(databases, { campaign, link: links[0] as number, kind: 'click', people: 10 });
  await addLog(databases);
  const address = await api.app.listen({ port: 0, host: '127.0.0.1' });
  const { use } = (await import(join(DIRECTORY, 'use.ts'))) as { use: (...args: string[]) => Promise<Record<string, unknown>> };
  expect(await use(`${address}/api/v1`, api.author, api.analyst)).toMatchObject({
    refused: { status: 400, error: { code: 'bad-input' } },
    campaign: { name: 'by a client' },
    version: 2,
    forgotten: 204,
    status: 200,
    html: expect.stringContaining('https://t.example.org/u/'),
    page: { campaigns: [{ name: 'by a client' }], next: null },
    reports: expect.any(Number),
    rows: expect.arrayContaining([expect.objectContaining({ campaign: 'Spring sale', kind: 'click', human_hits: 10 })]),
  });
});
