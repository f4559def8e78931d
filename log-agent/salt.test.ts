import { rm } from 'node:fs/promises';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { SALT_BUCKET, SALTS_API } from '../core/subjects.ts';
import { eventually, natsConnection, startTestNats, type TestNats } from '../test/support/servers.ts';
import { createAgentMetrics } from './metrics.ts';
import { createSalts, dayOf } from './salt.ts';

const log = createLogger('test', 'silent');
const { signal } = new AbortController();
const HOUR_MS = 3600_000;

async function agent(nats: TestNats, now: () => number = Date.now) {
  const connection = await natsConnection(nats.urlOf('agent'));
  onTestFinished(() => connection.close());
  return createSalts({ connection, replicas: 1, log, metrics: createAgentMetrics(new Registry()), now, putBackEveryMs: 20 });
}

describe('the salt of a day', () => {
  test('is the same for all agents, however many ask at once, and another one each day', async () => {
    const nats = await startTestNats();
    const agents = await Promise.all(Array.from({ length: 5 }, () => agent(nats)));
    const today = dayOf(Date.now());
    const yesterday = dayOf(Date.now() - 24 * HOUR_MS);
    const salts = await Promise.all(agents.map((salt) => salt.of(today, signal)));
    expect(new Set(salts).size).toBe(1);
    expect(salts[0]).toMatch(/^[0-9a-f]{32}$/);
    const others = await Promise.all(agents.map((salt) => salt.of(yesterday, signal)));
    expect(new Set([...salts, ...others]).size).toBe(2);
    expect(await (await agent(nats)).of(today, signal)).toBe(salts[0]);
  });

  test('dies after 48 hours where it is kept', async () => {
    const nats = await startTestNats();
    await (await agent(nats)).of(dayOf(Date.now()), signal);
    const connection = await natsConnection(nats.urlOf('agent'));
    const bucket = await new Kvm(jetstream(connection, { apiPrefix: SALTS_API })).open(SALT_BUCKET);
    const { ttl, streamInfo } = await bucket.status();
    expect(ttl).toBe(48 * HOUR_MS);
    expect(streamInfo.config.max_msgs_per_subject).toBe(1);
    await connection.close();
  });

  test('is never made for a day that is over by more than 48 hours', async () => {
    const nats = await startTestNats();
    const endOfDay = Date.parse('2026-11-21');
    let now = endOfDay + 48 * HOUR_MS;
    const salts = await agent(nats, () => now);
    expect(await salts.of('2026-11-20', signal)).toMatch(/^[0-9a-f]{32}$/);
    now++;
    expect(await salts.of('2026-11-20', signal)).toBeNull();
    expect(await salts.of('2026-11-19', signal)).toBeNull();
    expect(await salts.of('2026-11-21', signal)).not.toBeNull();
  });

  test('is waited for while NATS is down; what has become too old meanwhile stays without one', async () => {
    const nats = await startTestNats();
    let now = Date.parse('2026-11-21T12:00:00Z');
    const salts = await agent(nats, () => now);
    const known = await salts.of('2026-11-21', signal);
    await nats.running().kill();
    expect(await salts.of('2026-11-21', signal)).toBe(known);

    let waited: string | null | undefined;
    let tooLate: string | null | undefined;
    void salts.of('2026-11-22', signal).then((salt) => (waited = salt));
    void salts.of('2026-11-20', signal).then((salt) => (tooLate = salt));
    const aborted = new AbortController();
    const givenUp = expect(salts.of('2026-11-22', aborted.signal)).rejects.toThrow('stop');
    aborted.abort(new Error('stop'));
    await givenUp;
    expect([waited, tooLate]).toEqual([undefined, undefined]);

    now = Date.parse('2026-11-23T00:00:01Z');
    await nats.start();
    await eventually('both are answered', () => waited !== undefined && tooLate !== undefined);
    expect(waited).toMatch(/^[0-9a-f]{32}$/);
    expect(tooLate).toBeNull();
  });

  test('is put back by an agent that knows it when the bucket has lost it, but only that of the current day', async () => {
    const nats = await startTestNats();
    const knows = await agent(nats);
    const ended = new AbortController();
    const kept = knows.keepInBucket(ended.signal);
    const yesterday = dayOf(Date.now() - 24 * HOUR_MS);
    const today = dayOf(Date.now());
    const salts = [await knows.of(yesterday, signal), await knows.of(today, signal)];
    await nats.running().kill();
    await rm(nats.storeDir, { recursive: true });
    await nats.start();
    const connection = await natsConnection(nats.urlOf('agent'));
    onTestFinished(() => connection.close());
    const buckets = new Kvm(jetstream(connection, { apiPrefix: SALTS_API, checkAPI: false }));
    const bucket = await buckets.create(SALT_BUCKET, { ttl: 48 * HOUR_MS, history: 1 });
    await eventually('the salt is in the bucket again', async () => (await bucket.get(today)) !== null);
    const other = await agent(nats);
    expect(await other.of(today, signal)).toBe(salts[1]);
    expect(await bucket.get(yesterday)).toBeNull();
    ended.abort();
    await kept;
  });

  test('is reported when another agent has created a second one', async () => {
    const nats = await startTestNats();
    const connection = await natsConnection(nats.urlOf('agent'));
    onTestFinished(() => connection.close());
    const metrics = createAgentMetrics(new Registry());
    const first = createSalts({ connection, replicas: 1, log, metrics, putBackEveryMs: 20 });
    const today = dayOf(Date.now());
    const salt = await first.of(today, signal);
    await nats.running().kill();
    await rm(nats.storeDir, { recursive: true });
    await nats.start();
    expect(await (await agent(nats)).of(today, signal)).not.toBe(salt);
    const ended = new AbortController();
    const kept = first.keepInBucket(ended.signal);
    await eventually('the second salt is counted', async () => (await metrics.secondSalts.get()).values[0]?.value === 1);
    // The agent goes on with its own salt, with which it has counted visitors of this day.
    expect(await first.of(today, signal)).toBe(salt);
    ended.abort();
    await kept;
  });
});
