import type { ShardMap } from '../core/shards.ts';
import { NO_RANGES, type Range, sizeOf } from '../core/ranges.ts';
import { type BatchBuilder, closingPayload, createBatch } from './batch.ts';
import { Coverage } from './coverage.ts';
import type { Enricher } from './enrich.ts';
import type { Generation } from './follow.ts';
import { fragment, splitLines, type Fragment } from './lines.ts';
import type { AgentMetrics } from './metrics.ts';
import { type Hit, type Parsed, parseLine } from './parse.ts';
import type { Publisher } from './publish.ts';
import { dayOf, type Salt, type Salts } from './salt.ts';

// Turns needed bytes into messages. It makes no difference whether they are the fresh end of the live log, a hole that a lost message
// left in an old one, or everything a restored shard has forgotten: a turn takes the first needed stretch of each shard, reads it
// once for all the shards that need the same, and adds every line to the batch of the one it belongs to.

/** How long hits may wait for company in a batch, and how long a stretch without any may. */
const LINGER_MS = 50;
const EMPTY_LINGER_MS = 1000;
const DAY_MS = 86_400_000;

interface Share {
  shard: string;
  coverage: Coverage;
  batch: BatchBuilder | undefined;
}

export interface Shipper {
  /** Coverage of a generation by shard; made when first asked for. */
  coverage(gen: string, shard: string): Coverage;
  /** Publishes some of what a generation needs; true if there was anything. */
  turn(generation: Generation, signal: AbortSignal): Promise<boolean>;
  /** Publishes the batches that have waited long enough (all: every one). */
  flush(all: boolean): Promise<void>;
  /** Lets go of generations that no longer exist. */
  forget(isGone: (gen: string) => boolean): void;
}

export function createShipper(deps: {
  shards: ShardMap;
  enricher: Enricher;
  salts: Salts;
  publisher: Publisher;
  metrics: AgentMetrics;
  windowBytes: number;
  now?: () => number;
}): Shipper {
  const { shards, enricher, salts, publisher, metrics, windowBytes, now = Date.now } = deps;
  const shares = new Map<string, Map<string, Share>>();

  function sharesOf(gen: string): Map<string, Share> {
    let found = shares.get(gen);
    if (!found) {
      found = new Map(shards.list.map(({ name }) => [name, { shard: name, coverage: new Coverage(), batch: undefined }]));
      shares.set(gen, found);
    }
    return found;
  }

  /** Unconfirmed bytes of a shard, over all generations. */
  function unconfirmed(shard: string): number {
    let sum = 0;
    for (const byShard of shares.values()) sum += byShard.get(shard)?.coverage.unconfirmedBytes ?? 0;
    return sum;
  }

  async function publish(gen: string, share: Share): Promise<void> {
    const { batch } = share;
    share.batch = undefined;
    if (!batch || batch.from === batch.to) return;
    const flight = share.coverage.publishing([[batch.from, batch.to]]);
    await publisher.send(share.shard, batch.payload(), flight, `${gen} ${batch.from}`);
  }

  /** The batch that takes what lies at `off`: the open one if it ends there, and has room. */
  async function batchAt(generation: Generation, share: Share, off: number): Promise<BatchBuilder> {
    if (share.batch && (share.batch.full || share.batch.to !== off)) await publish(generation.id, share);
    share.batch ??= createBatch({ gen: generation.id, shard: share.shard, shards: shards.fingerprint, from: off, since: now() });
    return share.batch;
  }

  /** Reads [from, to) as far as it goes, for these shards. False: nothing there yet. */
  async function shipStretch(generation: Generation, from: number, to: number, takers: Share[], signal: AbortSignal): Promise<boolean> {
    const chunk = await generation.source.read(from, to);
    if (chunk.kind === 'wait' || chunk.kind === 'gone') return false;
    metrics.readBytes.inc(chunk.to - chunk.from);

    // Parsed at once, so that the texts of a whole chunk are never in memory together.
    const lines: { off: number; result: Parsed }[] = [];
    const fragments: Fragment[] = [];
    if (chunk.kind === 'long') fragments.push(fragment(chunk.bytes, chunk.from, 'too-long'));
    else if (chunk.kind === 'tail') fragments.push(fragment(chunk.bytes, chunk.from, 'unterminated'));
    else
      splitLines(
        chunk.bytes,
        chunk.from,
        ({ off, text }) => lines.push({ off, result: parseLine(text) }),
        (part) => fragments.push(part),
      );
    metrics.lines.inc(lines.length);

    const saltOf = await saltsFor(lines, signal);
    const byName = new Map(takers.map((share) => [share.shard, share]));
    const first = byName.get(shards.first.name);

    // Everything in the order of the file, so that a batch can end between any two lines.
    let nextFragment = 0;
    const addFragmentsBefore = async (off: number): Promise<void> => {
      for (; (fragments[nextFragment]?.off ?? off) < off; nextFragment++) {
        const letter = fragments[nextFragment] as Fragment;
        if (first) (await extended(generation, first, letter.off)).addDead(letter);
      }
    };
    for (const share of takers) await batchAt(generation, share, from);
    for (const { off, result } of lines) {
      if (nextFragment < fragments.length) await addFragmentsBefore(off);
      const share = 'hit' in result ? byName.get(shards.of(result.hit.tag).name) : first;
      if (!share) continue;
      // Awaiting nothing costs as much as parsing the line did.
      const batch = withRoom(share, off) ?? (await extended(generation, share, off));
      if ('hit' in result) batch.addEvent(enricher.event(result.hit, off, saltOf(result.hit)));
      else if ('skip' in result) batch.addSkipped(result.skip);
      else {
        const bytes = chunk.bytes.subarray(off - chunk.from, endOfLine(chunk.bytes, off - chunk.from));
        batch.addDead(fragment(bytes, off, result.dead));
      }
    }
    await addFragmentsBefore(chunk.to);
    for (const share of takers) share.batch?.extend(chunk.to);
    return true;
  }

  /** The same, if the open batch will do. */
  function withRoom(share: Share, off: number): BatchBuilder | undefined {
    if (!share.batch || share.batch.full) return undefined;
    share.batch.extend(off);
    return share.batch;
  }

  /** The batch for what lies at `off`, everything before it accounted for. */
  async function extended(generation: Generation, share: Share, off: number): Promise<BatchBuilder> {
    share.batch?.extend(off);
    return batchAt(generation, share, off);
  }

  async function saltsFor(lines: readonly { result: Parsed }[], signal: AbortSignal): Promise<(hit: Hit) => Salt | null> {
    const byDay = new Map<number, Salt | null>();
    for (const { result } of lines) {
      if (!('hit' in result)) continue;
      const day = Math.floor(result.hit.t / DAY_MS);
      if (!byDay.has(day)) byDay.set(day, await salts.of(dayOf(result.hit.t), signal));
    }
    return (hit) => byDay.get(Math.floor(hit.t / DAY_MS)) ?? null;
  }

  return {
    coverage: (gen, shard) => (sharesOf(gen).get(shard) as Share).coverage,

    async turn(generation, signal) {
      const needs: { share: Share; range: Range }[] = [];
      for (const share of sharesOf(generation.id).values()) {
        const { coverage, batch } = share;
        if (!coverage.known || coverage.settled(generation.size)) continue;
        const building = batch ? ([[batch.from, batch.to]] as const) : NO_RANGES;
        const range = coverage.needed(generation.size, building);
        if (range && unconfirmed(share.shard) + sizeOf(building) < windowBytes) needs.push({ share, range });
        const unrecorded = (coverage.recordedSize ?? -1) < generation.size;
        if (!range && generation.final && batch === undefined && !coverage.hasFlights && unrecorded) {
          await close(generation, share);
        }
      }
      let moved = false;
      while (needs.length > 0) {
        const from = Math.min(...needs.map(({ range }) => range[0]));
        const now = needs.filter(({ range }) => range[0] === from);
        const later = needs.filter(({ range }) => range[0] !== from);
        // Ends where a taker needs no more, or where another shard could join in.
        const to = Math.min(...now.map(({ range }) => range[1]), ...later.map(({ range }) => range[0]));
        moved =
          (await shipStretch(
            generation,
            from,
            to,
            now.map(({ share }) => share),
            signal,
          )) || moved;
        needs.splice(0, needs.length, ...later);
      }
      return moved;
    },

    async flush(all) {
      for (const [gen, byShard] of shares) {
        for (const share of byShard.values()) {
          if (!share.batch) continue;
          const age = now() - share.batch.since;
          if (all || share.batch.full || age >= (share.batch.empty ? EMPTY_LINGER_MS : LINGER_MS)) await publish(gen, share);
        }
      }
    },

    forget(isGone) {
      for (const gen of shares.keys()) if (isGone(gen)) shares.delete(gen);
    },
  };

  async function close(generation: Generation, share: Share): Promise<void> {
    const flight = share.coverage.publishing(NO_RANGES, true);
    const payload = closingPayload({ gen: generation.id, shard: share.shard, shards: shards.fingerprint, size: generation.size });
    await publisher.send(share.shard, payload, flight, `${generation.id} closing`);
  }
}

function endOfLine(bytes: Buffer, from: number): number {
  const newline = bytes.indexOf(10, from);
  return newline < 0 ? bytes.length : newline + 1;
}
