import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { jetstream } from '@nats-io/jetstream';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { ensureSite } from '../../authoring/sites.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import { parseConfig, SETTINGS, type SettingName } from '../../core/config.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys, tagOf } from '../../core/slug.ts';
import { eventsSubject } from '../../core/subjects.ts';
import { readCheckpoint } from '../../log-agent/checkpoint.ts';
import { scanCompressed } from '../../log-agent/compressed-file.ts';
import { splitLines } from '../../log-agent/lines.ts';
import { parseLine } from '../../log-agent/parse.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { type Issued, readLogs } from '../support/judge.ts';
import { rawRequest } from '../support/raw-http.ts';
import { runs } from '../support/runs.ts';
import { eventually, natsConnection, temporaryDirectory } from '../support/servers.ts';

// Tests random and damaged input. It must not cause a crash, it must not block the lines after it, and it must be counted.

const LINE =
  '{"v":2,"rid":"00112233445566778899aabbccddeeff","t":1795326435.247,"m":"GET","u":"/u/fXc9oZNa4YuQajwMN","s":302,"ip":"127.0.0.1","ua":"x","ref":"","purpose":"   ","link":"1.1","q":"","h":"t.example","x":""}\n';

const SITE_LINE =
  '{"v":2,"rid":"00112233445566778899aabbccddeeff","t":1795326435.247,"m":"POST","u":"/e/fXc9oZNa4YuQajwMN","s":204,"ip":"127.0.0.1","ua":"x","ref":"","purpose":"   ","link":"","q":"n=buy&v=1.50&k=EUR&c=fXc9oZNa4YuQajwMN&s=ab&u=https%3A%2F%2Fx.example%2F&x.a=%C3%BC","h":"t.example","x":""}\n';

/** Returns variants of a text with some bytes replaced, removed or inserted. */
function damaged(text: string): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(text.length - 1), how: fc.constantFrom('replace', 'remove', 'insert'), byte: fc.nat(255) });
  return fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
    const bytes = [...Buffer.from(text)];
    for (const { at, how, byte } of changes) {
      if (how === 'replace') bytes[at % bytes.length] = byte;
      else bytes.splice(at % bytes.length, how === 'remove' ? 1 : 0, ...(how === 'remove' ? [] : [byte]));
    }
    return Buffer.from(bytes);
  });
}

describe('by themselves', () => {
  test('damaged lines are lines, fragments or both, and every byte is accounted for', () => {
    const pieces = fc.array(
      fc.oneof(
        damaged(LINE),
        damaged(SITE_LINE),
        fc.constant(Buffer.from(LINE)),
        fc.uint8Array({ maxLength: 200 }).map((a) => Buffer.from(a)),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(pieces, (list) => {
        const bytes = Buffer.concat([...list, Buffer.from('\n')]);
        const starts: number[] = [];
        splitLines(
          bytes,
          0,
          ({ off, text }) => {
            starts.push(off);
            expect(Object.keys(parseLine(text))).toHaveLength(1);
          },
          ({ off, length }) => {
            starts.push(off);
            expect(off + length).toBeLessThanOrEqual(bytes.length);
          },
        );
        expect(starts[0]).toBe(0);
        expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b));
        expect(starts.length).toBeGreaterThanOrEqual(bytes.filter((byte) => byte === 10).length);
      }),
      runs(1000),
    );
  });

  test('settings of any text are refused with one error, or accepted', () => {
    const names = Object.keys(SETTINGS) as SettingName[];
    const value = fc.oneof(
      fc.string(),
      fc.constantFrom('a=00=postgres://h/d', 'http://h', '12', '-1', '', '0x10', 'ab'.repeat(32)),
      fc.webUrl(),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (env) => {
        try {
          parseConfig(names, env);
        } catch (error) {
          expect(error).toBeInstanceOf(ClickledgerError);
        }
      }),
      runs(500),
    );
  });

  test('a checkpoint of any content is used or ignored', async () => {
    const directory = await temporaryDirectory();
    const good = JSON.stringify({ v: 1, incarnation: '1', inFlight: { '00112233445566778899aabbccddeeff': { a: [[0, 10]] } } });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          damaged(good),
          fc.json().map((text) => Buffer.from(text)),
        ),
        async (content) => {
          await writeFile(join(directory, 'checkpoint.json'), content);
          const checkpoint = await readCheckpoint(directory);
          if (checkpoint) expect(typeof checkpoint.incarnation).toBe('string');
        },
      ),
      runs(200),
    );
  });

  test.each(['gzip', 'zstd'] as const)('a damaged %s file is no log, or is one with the right content', async (compression) => {
    const path = join(await temporaryDirectory(), 'access.log.1.compressed');
    const compress =
      compression === 'gzip' ? gzipSync : (text: string) => zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    // Two members (gzip) or frames (zstd), as in two concatenated compressed files.
    const compressed = Buffer.concat([compress(LINE.repeat(20)), compress(LINE.repeat(30))]);
    const read = async (bytes: Buffer) => {
      await writeFile(path, bytes);
      const result = await scanCompressed(path, compression);
      return 'log' in result ? [result.log.identity.gen, result.log.size] : undefined;
    };
    const whole = await read(compressed);
    expect(whole?.[1]).toBe(LINE.length * 50);
    const firstPart = await read(compress(LINE.repeat(20)));
    await fc.assert(
      fc.asyncProperty(fc.nat(compressed.length - 1), fc.nat(255), fc.boolean(), async (at, byte, truncate) => {
        const bytes = Buffer.from(compressed);
        bytes[at] = byte;
        const found = await read(truncate ? bytes.subarray(0, at) : bytes);
        // The time and the flags in the gzip header do not change the content. A file that was cut between its two parts is also complete.
        if (found) expect([whole, ...(truncate ? [firstPart] : [])]).toContainEqual(found);
      }),
      runs(200),
    );
  });
});

describe('through the running system', () => {
  let system: System;
  let dataDir: string;
  let analyst: Pool;
  let path: string;
  let sitePath: string;
  const issued = new Map<string, Issued>();

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'clickledger-fuzz-'));
    system = await startSystem({ dataDir, durable: false, extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '10000', RATE_BURST: '10000' } });
    analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
    const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
    const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
    const { id } = await ensureCampaign(author, 'fuzz');
    const link = await ensureLink(author, id, { kind: 'url', target: 'https://www.example.com/' });
    const recipient = await ensureRecipient(author, 'reader@example.com');
    path = createUrls('', slugs).click(link, recipient);
    issued.set(slugs.encode({ link, recipient }), { link, recipient });
    const site = await ensureSite(author, 'shop.example');
    sitePath = createUrls('', slugs).site(site.id);
    issued.set(sitePath.slice(3), { link: site.id, recipient: 0, site: true });
    await author.end();
  }, 120_000);

  afterAll(async () => {
    await analyst?.end();
    await system?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function allCounted(): Promise<void> {
    const expected = () =>
      readLogs({
        directories: system.logDirs,
        issued,
        tagOfLink: (link) => tagOf({ link, recipient: 0 }),
        shards: [{ name: 'a', from: '00' }],
      });
    await eventually('events, dead letters and skipped lines are those of the log', async () => {
      const { events, dead, skipped } = await expected();
      const counts = await analyst.query<{ events: number; dead: number; skipped: number }>(`
        SELECT (SELECT count(*) FROM analytics.events) + (SELECT count(*) FROM analytics.unsubscribes) + (SELECT count(*) FROM analytics.visits)
                 + (SELECT count(*) FROM analytics.goals) AS events, (SELECT count(*) FROM analytics.dead_letters) AS dead,
               (SELECT coalesce(sum(lines), 0)::bigint FROM analytics.skipped) AS skipped`);
      const found = counts.rows[0];
      return (
        found?.events === events.size &&
        found.dead === dead.size &&
        found.skipped === [...skipped.values()].reduce((sum, lines) => sum + lines, 0)
      );
    });
  }

  test('visits and goals with any query are answered, and counted if they have a name', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 70 }).map((part) => encodeURIComponent(part.toWellFormed())),
      fc.stringMatching(/^[!-"$-~]{0,40}$/),
    );
    const name = fc.oneof(fc.constantFrom('visit', 'buy', ''), text);
    const rest = fc.array(fc.tuple(fc.constantFrom('n', 'v', 'k', 'u', 'r', 'c', 's', 'x.a', 'x.b', '', '%'), text), { maxLength: 6 });
    const click = fc.constantFrom('', `&c=${path.slice(3)}`);
    await fc.assert(
      fc.asyncProperty(name, click, rest, async (value, slug, parameters) => {
        const query = `n=${value}${slug}${parameters.map(([key, part]) => `&${key}=${part}`).join('')}`;
        const answer = await rawRequest(system.ports.edges[0] as number, 'POST', `${sitePath}?${query}`, { 'User-Agent': 'x' });
        expect([204, 400, 429]).toContain(answer.status);
      }),
      runs(150),
    );
    await allCounted();
  });

  test('requests with any path and any header bytes are answered, and logged hits are counted', async () => {
    const bytes = fc
      .uint8Array({ maxLength: 300 })
      .map((array) => Buffer.from(array.filter((byte) => byte !== 10 && byte !== 13 && byte !== 0)));
    const segment = fc.oneof(
      fc.constant(path.slice(3)),
      fc.string({ maxLength: 60 }).map(encodeURIComponent),
      fc.stringMatching(/^[0-9A-Za-z%._~-]{1,60}$/),
    );
    const place = fc.tuple(fc.constantFrom('/u/', '/r/', '/u//', '/'), segment).map(([prefix, rest]) => prefix + rest);
    const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PROPFIND');
    await fc.assert(
      fc.asyncProperty(method, place, bytes, bytes, bytes, async (httpMethod, requestPath, agent, referrer, purpose) => {
        const answer = await rawRequest(system.ports.edges[0] as number, httpMethod, requestPath, {
          'User-Agent': agent,
          Referer: referrer,
          Purpose: purpose,
        });
        expect([200, 302, 400, 404, 405, 414]).toContain(answer.status);
      }),
      runs(300),
    );
    await allCounted();
  });

  test('messages that are no batch are dropped and counted, and what comes behind them is committed', async () => {
    const connection = await natsConnection(system.env['AGENT_NATS_URL'] ?? '');
    const stream = jetstream(connection);
    const batch = JSON.stringify({
      v: 1,
      gen: '00'.repeat(16),
      shard: 'a',
      shards: 'x',
      from: 0,
      to: 10,
      skipped: {},
      dead: [],
      events: [],
    });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }),
          fc.json().map((text) => Buffer.from(text)),
          damaged(batch.replace('"x"', '1')),
        ),
        async (payload) => {
          await stream.publish(eventsSubject('a'), payload);
        },
      ),
      runs(100),
    );
    await rawRequest(system.ports.edges[0] as number, 'GET', path);
    await allCounted();
    await connection.close();
  });
});
