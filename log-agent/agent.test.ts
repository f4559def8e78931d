import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { parseShards } from '../core/shards.ts';
import { sleep } from '../core/time.ts';
import { type Agent, createAgent } from './agent.ts';
import { Coverage } from './coverage.ts';
import { Epochs } from './epochs.ts';
import type { Generation, Logs } from './follow.ts';
import { createAgentMetrics } from './metrics.ts';

// Tests the order of turns without any server. ship.test.ts tests the work of a turn.

function generation(id: string, final: boolean): Generation {
  return { id, final, size: 1, mtimeMs: 0, source: { loggedAtMs: () => Promise.resolve(undefined) } as never, paths: [] };
}

/** Creates an agent without any server. `scan` reads the log directory, and `onTurn` is a turn of a generation. */
function createTestAgent(generations: Generation[], scan: () => Promise<void>, onTurn: (id: string) => Promise<void>): Agent {
  const logs: Logs = {
    generations,
    foreignFiles: [],
    scan,
    identify: () => Promise.resolve(false),
    release: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  return createAgent({
    follower: logs,
    shipper: {
      coverage: () => new Coverage(),
      async shipNext({ id }) {
        await onTurn(id);
        return true;
      },
      flush: () => Promise.resolve(),
      newerLogs: () => [],
      forget: () => {},
    },
    ledgers: { ask: () => Promise.resolve(undefined) },
    publisher: { flushed: () => Promise.resolve(), failure: () => undefined, send: () => Promise.resolve() },
    epochs: new Epochs(),
    shards: parseShards('a=00=postgres://127.0.0.1/a'),
    metrics: createAgentMetrics(new Registry()),
    log: createLogger('test', 'silent'),
    stateDir: undefined,
    pollMs: 20,
    keepLogsMs: 1e12,
  });
}

/** Runs an agent whose turns take `turnMs` each. Returns the ids of the generations in the order of their turns, with their times. */
async function turnsOf(generations: Generation[], turnMs: number, forMs: number): Promise<{ id: string; at: number }[]> {
  const turns: { id: string; at: number }[] = [];
  const agent = createTestAgent(
    generations,
    () => Promise.resolve(),
    async (id) => {
      turns.push({ id, at: performance.now() });
      await sleep(turnMs);
    },
  );
  await agent.run(AbortSignal.timeout(forMs));
  return turns;
}

test('a new hit does not wait for old logs, however many they are', async () => {
  const old = Array.from({ length: 100 }, (_, i) => generation(`old ${i}`, true));
  const turns = await turnsOf([...old, generation('live', false)], 15, 3000);
  const live = turns.filter(({ id }) => id === 'live').map(({ at }) => at);
  const waits = live.slice(1).map((at, i) => at - (live[i] as number));
  expect(live.length).toBeGreaterThan(10);
  // One turn of each old log takes 1.5 s in total.
  expect(Math.max(...waits)).toBeLessThan(700);
  // The old logs still get most of the turns, one after the other.
  const oldTurns = turns.filter(({ id }) => id !== 'live').map(({ id }) => id);
  expect(oldTurns.length).toBeGreaterThan(live.length);
  expect(oldTurns.slice(0, 100)).toEqual(old.slice(0, oldTurns.length).map(({ id }) => id));
});

test('nothing is said to be shipped before the log directory was read once', async () => {
  const { promise: scanned, resolve } = Promise.withResolvers<void>();
  const agent = createTestAgent(
    [],
    () => scanned,
    () => Promise.resolve(),
  );
  const running = agent.run(AbortSignal.timeout(300));
  expect([await agent.lag(), agent.uncommittedBytes()]).toEqual([[], undefined]);
  resolve();
  await running;
  expect([(await agent.lag()).map(({ shard, unshippedBytes }) => [shard, unshippedBytes]), agent.uncommittedBytes()]).toEqual([
    [['a', 0]],
    0,
  ]);

  const blind = createTestAgent(
    [],
    () => Promise.reject(new Error('no access')),
    () => Promise.resolve(),
  );
  await blind.run(AbortSignal.timeout(100));
  expect([await blind.lag(), blind.uncommittedBytes()]).toEqual([[], undefined]);
});
