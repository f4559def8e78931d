import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { covers, NO_RANGES, type Ranges, sizeOf, subtract, touches, union } from '../core/ranges.ts';
import { runs } from '../test/support/runs.ts';
import { Coverage, type Progress } from './coverage.ts';

const LINE = 10;

/** A model of a shard: a stream, one consumer and a ledger. It processes messages in order. */
class Shard {
  committed: Ranges = NO_RANGES;
  size: number | null = null;
  queue: { sequence: number; from: number; to: number; size?: number }[] = [];
  last = 0;
  floor = 0;

  store(from: number, to: number, size?: number): number {
    this.queue.push({ sequence: ++this.last, from, to, ...(size === undefined ? {} : { size }) });
    return this.last;
  }

  /** Acks the next message. `lose` acks it without committing it. */
  ack(lose: boolean): void {
    const message = this.queue.shift();
    if (!message) return;
    this.floor = message.sequence;
    if (lose || touches(this.committed, message.from, message.to)) return;
    this.committed = union(this.committed, [[message.from, message.to]]);
    if (message.size !== undefined) this.size = Math.max(this.size ?? 0, message.size);
  }
}

type Step =
  | {
      kind: 'grow' | 'publish' | 'publish-unstored' | 'stored' | 'failed' | 'take' | 'lose' | 'ask' | 'restart' | 'stream-anew' | 'restore';
      n: number;
    }
  | { kind: 'progress'; n: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind']>(
    ...([
      'grow',
      'publish',
      'publish',
      'publish',
      'publish-unstored',
      'stored',
      'failed',
      'take',
      'take',
      'lose',
      'ask',
      'ask',
      'progress',
    ] as const),
    ...(['restart', 'stream-anew', 'restore'] as const),
  ),
  n: fc.nat(100),
});

describe('what the agent knows of a generation on a shard', () => {
  test('committed, in flight and needed tile the file, and everything is committed in the end', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        let coverage = new Coverage();
        let shard = new Shard();
        let size = 0;
        let waiting: { delivery: ReturnType<Coverage['startFlight']>; store: () => number }[] = [];
        let asked: Progress | undefined;
        const publish = (n: number) => {
          const needed = coverage.needed(size, NO_RANGES);
          if (!needed) return undefined;
          const [from, end] = needed;
          const to = Math.min(end, from + LINE * (1 + (n % 3)));
          expect(covers(subtract([[0, size]], coverage.committedOrInFlight), from, to)).toBe(true);
          const delivery = coverage.startFlight([[from, to]]);
          return { delivery, store: () => shard.store(from, to) };
        };
        const confirm = (progress: Progress) => coverage.confirm(shard.committed, shard.size, progress);
        const ask = () => {
          coverage.startQuery();
          confirm({ floor: shard.floor, delivered: shard.floor, last: shard.last });
        };
        const check = () => {
          const needed = subtract([[0, size]], coverage.committedOrInFlight);
          expect(coverage.needed(size, NO_RANGES)).toEqual(needed[0]);
          expect(union(coverage.committed, coverage.inFlight, needed)).toEqual(size === 0 ? [] : [[0, size]]);
          expect(coverage.unconfirmedBytes).toBeGreaterThanOrEqual(sizeOf(coverage.inFlight));
        };
        for (const { kind, n } of steps) {
          if (kind === 'grow') size += LINE * (n % 5);
          if (kind === 'publish') {
            const sent = publish(n);
            sent?.delivery.stored(sent.store());
          }
          if (kind === 'publish-unstored') {
            const sent = publish(n);
            if (sent) waiting.push(sent);
          }
          if (kind === 'stored') for (const { delivery, store } of waiting.splice(0, 1)) delivery.stored(store());
          if (kind === 'failed') for (const { delivery } of waiting.splice(0, 1)) delivery.failed();
          if (kind === 'take') shard.ack(false);
          if (kind === 'lose') shard.ack(true);
          // A reply may describe an earlier state of the stream.
          if (kind === 'progress') {
            coverage.startQuery();
            asked = { floor: shard.floor, delivered: shard.floor, last: shard.last };
          }
          if (kind === 'ask') {
            if (asked) confirm(asked);
            else ask();
            asked = undefined;
          }
          if (kind === 'restart') {
            const { inFlight } = coverage;
            coverage = new Coverage();
            waiting = [];
            asked = undefined;
            if (n % 2 === 0) coverage.resume(inFlight, shard.last);
          }
          if (kind === 'stream-anew') {
            const { committed, size: recorded } = shard;
            shard = new Shard();
            shard.committed = committed;
            shard.size = recorded;
            asked = undefined;
            coverage.forgetFlights();
          }
          if (kind === 'restore')
            shard.committed = n % 3 === 0 ? NO_RANGES : subtract(shard.committed, [[LINE * (n % 7), LINE * (n % 7) + 2 * LINE]]);
          check();
        }
        for (const { delivery } of waiting) delivery.failed();
        for (let i = 0; i < 100 && !covers(shard.committed, 0, size); i++) {
          for (let sent = publish(0); sent; sent = publish(0)) sent.delivery.stored(sent.store());
          while (shard.queue.length > 0) shard.ack(false);
          ask();
        }
        ask();
        expect(coverage.committed).toEqual(size === 0 ? [] : [[0, size]]);
        expect(coverage.unconfirmedBytes).toBe(0);
      }),
      runs(1000),
    );
  });

  test('passed-over bytes do not count for the window, but are unconfirmed like others', () => {
    const coverage = new Coverage();
    coverage.startFlight([[0, 2_000_000_000]], { passedOver: 1_999_999_900 }).stored(1);
    coverage.startFlight([[2_000_000_000, 2_000_000_050]]).stored(2);
    expect([coverage.windowBytes, coverage.unconfirmedBytes]).toEqual([150, 2_000_000_050]);
    // The same holds while only a part of the range is committed.
    coverage.confirm([[0, 1_999_999_000]], null, { floor: 0, delivered: 2, last: 2 });
    expect([coverage.windowBytes, coverage.unconfirmedBytes]).toEqual([50, 1050]);
  });

  test('what the consumer has acked and the ledger lacks is needed again, and nothing else is', () => {
    const coverage = new Coverage();
    coverage.startFlight([[0, 10]]).stored(1);
    coverage.startFlight([[10, 20]]).stored(2);
    coverage.startFlight([[20, 30]]).stored(3);
    coverage.confirm([[10, 20]], null, { floor: 2, delivered: 3, last: 3 });
    expect(coverage.needed(30, NO_RANGES)).toEqual([0, 10]);
    expect(coverage.inFlight).toEqual([[20, 30]]);
  });

  describe('a message that was delivered and is not committed, while the floor stays below it', () => {
    // JetStream waits for the ack of message 1, which it has lost.
    const stuck: Progress = { floor: 0, delivered: 3, last: 4 };

    test('is needed again after 30 s, and one that was not delivered is not', () => {
      const coverage = new Coverage();
      for (const n of [1, 2, 3]) coverage.startFlight([[10 * n, 10 * n + 10]]).stored(n + 1);
      coverage.confirm([[0, 10]], null, stuck, 1_000);
      coverage.confirm([[0, 10]], null, stuck, 30_999);
      expect(coverage.inFlight).toEqual([[10, 40]]);
      coverage.confirm([[0, 20]], null, stuck, 31_000);
      expect(coverage.needed(40, NO_RANGES)).toEqual([20, 30]);
      expect(coverage.inFlight).toEqual([[30, 40]]);
    });

    test('is needed again less and less often while nothing is committed', () => {
      const coverage = new Coverage();
      const times: number[] = [];
      let deliveredMs: number | undefined;
      for (let nowMs = 0; nowMs < 6 * 3600_000; nowMs += 1_000) {
        if (coverage.needed(10, NO_RANGES)) {
          if (deliveredMs !== undefined) times.push(nowMs - deliveredMs);
          coverage.startFlight([[0, 10]]).stored(3);
          deliveredMs = nowMs;
        }
        coverage.confirm(NO_RANGES, null, stuck, nowMs);
      }
      expect(times.slice(0, 4).map((ms) => Math.round(ms / 30_000))).toEqual([1, 2, 4, 8]);
      expect(Math.round(Math.max(...times) / 3600_000)).toBe(1);
      // After a commit the first repetition comes soon again.
      coverage.confirm([[0, 5]], null, stuck, 7 * 3600_000);
      coverage.startFlight([[10, 20]]).stored(3);
      coverage.confirm([[0, 5]], null, stuck, 7 * 3600_000);
      coverage.confirm([[0, 5]], null, stuck, 7 * 3600_000 + 30_000);
      expect(coverage.inFlight).toEqual([]);
    });
  });

  test('a message stored while the ledger was asked is not taken for lost', () => {
    const coverage = new Coverage();
    const delivery = coverage.startFlight([[0, 10]]);
    coverage.startQuery();
    delivery.stored(5);
    coverage.confirm(NO_RANGES, null, { floor: 4, delivered: 4, last: 4 });
    expect(coverage.needed(10, NO_RANGES)).toBeUndefined();
    coverage.startQuery();
    coverage.confirm(NO_RANGES, null, { floor: 4, delivered: 5, last: 5 });
    expect(coverage.needed(10, NO_RANGES)).toBeUndefined();
  });

  test('a message that was stored before the ledger was asked, and the stream lacks, is lost', () => {
    const coverage = new Coverage();
    coverage.startFlight([[0, 10]]).stored(5);
    coverage.startQuery();
    coverage.confirm(NO_RANGES, null, { floor: 0, delivered: 0, last: 0 });
    expect(coverage.needed(10, NO_RANGES)).toEqual([0, 10]);
  });

  test('what is on its way to JetStream is not needed, whatever the floor; if it fails it is', () => {
    const coverage = new Coverage();
    const delivery = coverage.startFlight([[0, 10]]);
    coverage.confirm(NO_RANGES, null, { floor: 99, delivered: 99, last: 99 });
    coverage.forgetFlights();
    expect(coverage.needed(10, NO_RANGES)).toBeUndefined();
    delivery.failed();
    expect(coverage.needed(10, NO_RANGES)).toEqual([0, 10]);
  });

  test('a batch that is being built is not needed', () => {
    const coverage = new Coverage();
    expect(coverage.needed(30, [[0, 10]])).toEqual([10, 30]);
    expect(coverage.needed(10, [[0, 10]])).toBeUndefined();
  });

  test('a stream made anew makes all that was stored needed again, but not what is committed', () => {
    const coverage = new Coverage();
    coverage.confirm([[0, 10]], null, { floor: 0, delivered: 0, last: 0 });
    coverage.startFlight([[10, 20]]).stored(7);
    coverage.forgetFlights();
    expect(coverage.needed(20, NO_RANGES)).toEqual([10, 20]);
  });

  test('bytes that the ledger has forgotten are needed again', () => {
    const coverage = new Coverage();
    coverage.confirm([[0, 30]], 30, { floor: 1, delivered: 1, last: 1 });
    expect(coverage.settled(30)).toBe(true);
    coverage.confirm([[0, 10]], null, { floor: 1, delivered: 1, last: 1 });
    expect(coverage.settled(30)).toBe(false);
    expect(coverage.needed(30, NO_RANGES)).toEqual([10, 30]);
  });

  test('a generation is settled when all of it is committed and its size is on record', () => {
    const coverage = new Coverage();
    expect(coverage.settled(0)).toBe(false);
    coverage.confirm([[0, 30]], null, { floor: 1, delivered: 1, last: 1 });
    expect(coverage.settled(30)).toBe(false);
    coverage.startFlight(NO_RANGES, { closes: true }).stored(2);
    expect(coverage.hasFlights).toBe(true);
    coverage.confirm([[0, 30]], null, { floor: 1, delivered: 2, last: 2 });
    expect(coverage.hasFlights).toBe(true);
    coverage.confirm([[0, 30]], 30, { floor: 2, delivered: 2, last: 2 });
    expect(coverage.hasFlights).toBe(false);
    expect(coverage.settled(30)).toBe(true);
    expect(coverage.settled(40)).toBe(false);
  });

  test('a closing message that got lost may be sent again', () => {
    const coverage = new Coverage();
    coverage.startFlight(NO_RANGES, { closes: true }).stored(2);
    coverage.confirm([[0, 30]], null, { floor: 2, delivered: 2, last: 2 });
    expect(coverage.hasFlights).toBe(false);
  });

  test('what an earlier life published is waited for up to the end that the stream had', () => {
    const coverage = new Coverage();
    coverage.resume([[0, 10]], 8);
    coverage.confirm(NO_RANGES, null, { floor: 7, delivered: 8, last: 8 });
    expect(coverage.needed(20, NO_RANGES)).toEqual([10, 20]);
    coverage.confirm(NO_RANGES, null, { floor: 8, delivered: 9, last: 9 });
    expect(coverage.needed(20, NO_RANGES)).toEqual([0, 20]);
  });
});
