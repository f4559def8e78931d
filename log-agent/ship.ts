import type { ShardMap } from '../core/shards.ts';
import { NO_RANGES, type Range, sizeOf } from '../core/ranges.ts';
import { type BatchBuilder, closingPayload, createBatch } from './batch.ts';
import { Coverage } from './coverage.ts';
import type { Enricher } from './enrich.ts';
import type { Epochs } from './epochs.ts';
import type { Generation } from './follow.ts';
import { fragment, type Fragment } from './lines.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Hit, Parsed } from './parse.ts';
import type { Publisher } from './publish.ts';
import { dayOf, type Salt, type Salts } from './salt.ts';
import { scanLines } from './scan.ts';

// Publishes the bytes that shards need. Such bytes may be new lines of the live log, a hole that a lost message left in an old log, or
// ranges that a restored shard no longer has. All are treated in the same way. `shipNext` takes the first needed range of each shard, reads
// this range once for all shards that need it, and adds every line to the batch of its shard.

/** The time for which a batch waits for more lines. EMPTY_LINGER_MS applies to a batch without events. */
const LINGER_MS = 50;
const EMPTY_LINGER_MS = 1000;
const DAY_MS = 86_400_000;

/** The part of a generation that belongs to one shard. */
interface Share {
  shard: string;
  coverage: Coverage;
  batch: BatchBuilder | undefined;
}

export interface Shipper {
  /** Returns the coverage of a generation on a shard. It is created on first use. */
  coverage(gen: string, shard: string): Coverage;
  /**
   * One turn of a generation: reads and batches the start of the next needed range for each shard. It takes at most about 10 ms.
   * Returns false if nothing could be read.
   */
  shipNext(generation: Generation, signal: AbortSignal): Promise<boolean>;
  /** Publishes the batches that are full or have waited long enough. With `all`, publishes every batch. */
  flush(all: boolean): Promise<void>;
  /** The paths of logs with a line that only a newer agent can read. This line and the lines after it wait for such an agent. */
  newerLogs(): string[];
  /** Drops the state of generations that no longer exist. */
  forget(isDeleted: (gen: string) => boolean): void;
}

export function createShipper(deps: {
  shards: ShardMap;
  enricher: Enricher;
  salts: Salts;
  publisher: Publisher;
  epochs: Epochs;
  metrics: AgentMetrics;
  windowBytes: number;
  now?: () => number;
}): Shipper {
  const { shards, enricher, salts, publisher, epochs, metrics, windowBytes, now = Date.now } = deps;
  const sharesByGeneration = new Map<string, Map<string, Share>>();
  /** The generations with a line that only a newer agent can read. */
  const newer = new Map<string, Generation>();

  function sharesOf(gen: string): Map<string, Share> {
    let found = sharesByGeneration.get(gen);
    if (!found) {
      found = new Map(shards.list.map(({ name }) => [name, { shard: name, coverage: new Coverage(), batch: undefined }]));
      sharesByGeneration.set(gen, found);
    }
    return found;
  }

  /**
   * Returns the unconfirmed bytes of a shard over all generations. Passed-over bytes do not count, because they take no room in the stream.
   */
  function unconfirmed(shard: string): number {
    let sum = 0;
    for (const byShard of sharesByGeneration.values()) sum += byShard.get(shard)?.coverage.windowBytes ?? 0;
    return sum;
  }

  async function publish(gen: string, share: Share): Promise<void> {
    const { batch } = share;
    share.batch = undefined;
    if (!batch || batch.from === batch.to) return;
    const flight = share.coverage.startFlight([[batch.from, batch.to]], { passedOver: batch.passedOver });
    await publisher.send(share.shard, batch.payload(), flight, `${gen} ${batch.from}`);
  }

  const originOf = ({ id }: Generation, { shard }: Share) => ({ gen: id, shard, shards: shards.fingerprint, epoch: epochs.of(shard) });

  /** Returns the batch for the line at `off`: the open batch if it ends at `off` and is not full, otherwise a new batch. */
  async function batchAt(generation: Generation, share: Share, off: number): Promise<BatchBuilder> {
    if (share.batch && (share.batch.full || share.batch.to !== off)) await publish(generation.id, share);
    share.batch ??= createBatch({ ...originOf(generation, share), from: off, startedMs: now() });
    return share.batch;
  }

  /** Reads the start of [from, to) and adds its lines to the batches of these shards. Returns false if nothing could be read. */
  async function shipRange(generation: Generation, from: number, to: number, needing: Share[], signal: AbortSignal): Promise<boolean> {
    const chunk = await generation.source.read(from, to);
    if (chunk.kind === 'wait' || chunk.kind === 'unavailable') return false;
    if (chunk.kind === 'more') return true;
    const lines: { off: number; result: Parsed }[] = [];
    const fragments: Fragment[] = [];
    const passedOver = chunk.kind === 'long' ? chunk.to - chunk.from : 0;
    if (chunk.kind === 'long') fragments.push({ off: chunk.from, reason: 'too-long', length: passedOver, hash: chunk.hash });
    else if (chunk.kind === 'tail') fragments.push(fragment(chunk.bytes, chunk.from, 'unterminated'));
    else
      scanLines(
        chunk.bytes,
        chunk.from,
        (off, result) => lines.push({ off, result }),
        (part) => fragments.push(part),
      );
    const newerLine = fragments.find(({ isNewer }) => isNewer);
    const end = newerLine?.off ?? chunk.to;
    if (newerLine) {
      newer.set(generation.id, generation);
      if (end === chunk.from) return false;
      fragments.splice(fragments.indexOf(newerLine));
      while ((lines.at(-1)?.off ?? -1) > end) lines.pop();
    }
    metrics.readBytes.inc(end - chunk.from);
    metrics.lines.inc(lines.length);

    const saltOf = await saltsFor(lines, signal);
    const byName = new Map(needing.map((share) => [share.shard, share]));
    const firstShard = byName.get(shards.first.name);

    // Lines and fragments are added in the order of the file, so that a batch can end between any two of them.
    let nextFragment = 0;
    const addFragmentsBefore = async (off: number): Promise<void> => {
      for (; (fragments[nextFragment]?.off ?? off) < off; nextFragment++) {
        const letter = fragments[nextFragment] as Fragment;
        if (firstShard) (await extendedBatch(generation, firstShard, letter.off)).addDeadLetter(letter);
      }
    };
    for (const share of needing) await batchAt(generation, share, from);
    for (const { off, result } of lines) {
      if (nextFragment < fragments.length) await addFragmentsBefore(off);
      const share = 'hit' in result ? byName.get(shards.of(result.hit.tag).name) : firstShard;
      if (!share) continue;
      // An unnecessary `await` costs as much as parsing the line, so the open batch is tried first without `await`.
      const batch = extendOpenBatch(share, off) ?? (await extendedBatch(generation, share, off));
      if ('hit' in result) batch.addEvent(result.hit, off, enricher.enrich(result.hit, saltOf(result.hit)));
      else if ('skip' in result) batch.addSkipped(result.skip);
      else if ('bytes' in chunk) {
        const bytes = chunk.bytes.subarray(off - chunk.from, endOfLine(chunk.bytes, off - chunk.from));
        batch.addDeadLetter(fragment(bytes, off, result.dead));
      }
    }
    await addFragmentsBefore(end);
    for (const share of needing) share.batch?.extend(end, passedOver);
    return true;
  }

  /** Extends the open batch to `off` and returns it. Returns undefined if there is no open batch or it is full. */
  function extendOpenBatch(share: Share, off: number): BatchBuilder | undefined {
    if (!share.batch || share.batch.full) return undefined;
    share.batch.extend(off);
    return share.batch;
  }

  /** Extends the open batch to `off` and returns the batch for the line at `off`. */
  async function extendedBatch(generation: Generation, share: Share, off: number): Promise<BatchBuilder> {
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

    async shipNext(generation, signal) {
      const { size, source } = generation;
      const needs: { share: Share; range: Range }[] = [];
      for (const share of sharesOf(generation.id).values()) {
        const { coverage, batch } = share;
        if (!coverage.known || coverage.settled(size)) continue;
        const building = batch ? ([[batch.from, batch.to]] as const) : NO_RANGES;
        const range = coverage.needed(size, building);
        const buildingBytes = sizeOf(building) - (batch?.passedOver ?? 0);
        if (range && unconfirmed(share.shard) + buildingBytes < windowBytes) needs.push({ share, range });
        const unrecorded = (coverage.recordedSize ?? -1) < size;
        if (!range && generation.final && batch === undefined && !coverage.hasFlights && unrecorded) {
          await publishClosing(generation, share);
        }
      }
      let progressed = false;
      // Of a source that must be read in order, one turn reads only the first of these ranges. Otherwise each turn would read the source
      // from its start again.
      const readOnce = source.sequential;
      while (needs.length > 0 && !(readOnce && progressed)) {
        const from = Math.min(...needs.map(({ range }) => range[0]));
        const current = needs.filter(({ range }) => range[0] === from);
        const later = needs.filter(({ range }) => range[0] !== from);
        // The range ends where one of these shards needs no more, or where another shard also needs the bytes.
        const to = Math.min(...current.map(({ range }) => range[1]), ...later.map(({ range }) => range[0]));
        // The source may have been scanned again since `size` was taken. Its last line may have been incomplete at that time. The source
        // would take `size` for the end of that line, because more bytes follow now. The next turn has the new size.
        if (to === size && source.size !== size) break;
        progressed =
          (await shipRange(
            generation,
            from,
            to,
            current.map(({ share }) => share),
            signal,
          )) || progressed;
        needs.splice(0, needs.length, ...later);
      }
      return progressed;
    },

    async flush(all) {
      for (const [gen, byShard] of sharesByGeneration) {
        for (const share of byShard.values()) {
          if (!share.batch) continue;
          const age = now() - share.batch.startedMs;
          if (all || share.batch.full || age >= (share.batch.empty ? EMPTY_LINGER_MS : LINGER_MS)) await publish(gen, share);
        }
      }
    },

    newerLogs: () => [...newer.values()].map(({ id, source }) => source.path ?? id),

    forget(isDeleted) {
      for (const gen of newer.keys()) if (isDeleted(gen)) newer.delete(gen);
      for (const gen of sharesByGeneration.keys()) if (isDeleted(gen)) sharesByGeneration.delete(gen);
    },
  };

  async function publishClosing(generation: Generation, share: Share): Promise<void> {
    const flight = share.coverage.startFlight(NO_RANGES, { closes: true });
    const payload = closingPayload({ ...originOf(generation, share), size: generation.size });
    await publisher.send(share.shard, payload, flight, `${generation.id} closing`);
  }
}

function endOfLine(bytes: Buffer, from: number): number {
  const newline = bytes.indexOf(10, from);
  return newline < 0 ? bytes.length : newline + 1;
}
