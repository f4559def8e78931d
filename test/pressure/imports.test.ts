import { request } from 'node:http';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createPool } from '../../core/postgres.ts';
import { createKey } from '../../operating/api-keys.ts';
import { freePort } from '../../stack/ports.ts';
import { startPart } from '../../stack/part.ts';
import type { Running } from '../../stack/process.ts';
import { peakMemory } from '../chaos/world.ts';
import { authorSettings } from '../support/authors.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { temporaryDirectory } from '../support/servers.ts';
import { FULL } from './setup.ts';

// Imports of many people in one request, into a desk in a process of its own.

const FIRST = 100_000;
const SECOND = FULL ? 1_000_000 : 300_000;
/** Ten times as many people may need so much more memory. The lines of the second request and its answer are larger than this. */
const MAX_GROWTH_MIB = 16;
const LETTERS = FULL ? 50_000 : 9_000;
const MAX_DESK_MIB = 384;
const MIB = 1024 * 1024;

let databases: Databases;
let key: string;

beforeAll(async () => {
  databases = await createDatabases(1);
  const owner = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  ({ key } = await createKey(owner, 'importer', 'author', 1000));
  await owner.end();
});

async function startDesk(): Promise<{ desk: Running; port: number }> {
  const port = await freePort();
  const env = { ...authorSettings(databases), ANALYST_URL: databases.roleUrls.analyst, DESK_PORT: String(port) };
  const desk = await startPart({ part: 'desk', name: 'desk', runDir: await temporaryDirectory(), env });
  onTestFinished(() => desk.stop());
  return { desk, port };
}

/** Sends lines in one request, and counts the lines of the answer and its bytes while it sends. */
async function send(
  port: number,
  path: string,
  lines: Iterable<string>,
): Promise<{ count: number; sentBytes: number; bytes: number; last: string }> {
  const sent = request({
    port,
    host: '127.0.0.1',
    path: `/api/v1${path}`,
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
  });
  const reading = once(sent, 'response').then(async ([response]) => {
    expect(response.statusCode).toBe(200);
    const result = { count: 0, bytes: 0, last: '' };
    for await (const line of createInterface({ input: response })) {
      result.count++;
      result.bytes += line.length + 1;
      result.last = line;
    }
    return result;
  });
  let sentBytes = 0;
  let chunk = '';
  for (const line of lines) {
    chunk += line;
    if (chunk.length < 65_536) continue;
    sentBytes += chunk.length;
    if (!sent.write(chunk)) await once(sent, 'drain');
    chunk = '';
  }
  sent.end(chunk);
  return { ...(await reading), sentBytes };
}

function* people(prefix: string, count: number): Generator<string> {
  for (let i = 1; i <= count; i++) yield `{"email":"${prefix}-${i}@example.com","external_id":"${prefix}-${i}"}\n`;
}

test(
  `an import of ${SECOND} people needs no more memory than one of ${FIRST}`,
  async () => {
    const { desk, port } = await startDesk();
    const first = await send(port, '/recipients', people('a', FIRST));
    expect(first).toMatchObject({ count: FIRST, last: expect.stringContaining(`"line":${FIRST},"recipient"`) });
    const before = await peakMemory(desk.pid);
    const second = await send(port, '/recipients', people('b', SECOND));
    expect(second).toMatchObject({ count: SECOND, last: expect.stringContaining(`"line":${SECOND},"recipient"`) });
    const growth = (await peakMemory(desk.pid)) - before;
    process.stderr.write(
      `desk: ${Math.round(before / MIB)} MiB after ${FIRST} people, ${Math.round(growth / MIB)} MiB more after ${SECOND}\n`,
    );
    expect(second.sentBytes + second.bytes).toBeGreaterThan(MAX_GROWTH_MIB * MIB * 1.2);
    expect(growth).toBeLessThan(MAX_GROWTH_MIB * MIB);
    const [row] = await databases.query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.recipient');
    expect(row?.n).toBe(FIRST + SECOND);
  },
  FULL ? 600_000 : 240_000,
);

test(
  `${LETTERS} letters in one request are never in memory together`,
  async () => {
    const { desk, port } = await startDesk();
    const created = await fetch(`http://127.0.0.1:${port}/api/v1/campaigns`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{"name":"many letters"}',
    });
    const { id } = (await created.json()) as { id: number };
    const html = `<p>${'All about the sale. '.repeat(3000)}</p><a href="https://shop.example/">Sale</a>`;
    const letter = `${JSON.stringify({ html })}\n`;
    function* lines(): Generator<string> {
      yield letter;
      yield* people('l', LETTERS);
    }
    const { count, bytes } = await send(port, `/campaigns/${id}/letters`, lines());
    const peak = await peakMemory(desk.pid);
    process.stderr.write(`desk: ${Math.round(peak / MIB)} MiB at most for letters of ${Math.round(bytes / MIB)} MiB\n`);
    expect(count).toBe(LETTERS + 1);
    expect(bytes).toBeGreaterThan(1.3 * MAX_DESK_MIB * MIB);
    expect(peak).toBeLessThan(MAX_DESK_MIB * MIB);
  },
  FULL ? 600_000 : 240_000,
);
