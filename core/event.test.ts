import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { ClickledgerError } from './errors.ts';
import { type Batch, DEAD_REASONS, decodeBatch, type Event, KINDS, parseLedgerReply, parseLedgerRequest, SKIP_REASONS } from './event.ts';

const hex = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).map((s) => s.slice(0, maxLength));
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const eventIn = (from: number, to: number): fc.Arbitrary<Event> =>
  fc.record({
    off: fc.integer({ min: from, max: to - 1 }),
    rid: hex(32),
    t: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    kind: fc.constantFrom(...KINDS),
    slug: text(64),
    link: orNull(fc.tuple(fc.integer({ min: 1, max: 2 ** 50 }), fc.nat({ max: 999_999_999 })).map(([l, v]) => `${l}.${v}`)),
    head: fc.boolean(),
    ua: text(512),
    ref: text(512),
    purpose: text(64),
    country: orNull(fc.constantFrom('DE', 'FR')),
    net: orNull(text(64)),
    visitor: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  });

const anyBatch: fc.Arbitrary<Batch> = fc.tuple(fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 20 })).chain(([from, length]) =>
  fc.record({
    v: fc.constant(1 as const),
    gen: hex(32),
    shard: fc.constantFrom('a', 'shard12'),
    shards: hex(16),
    from: fc.constant(from),
    to: fc.constant(from + length),
    skipped: fc.dictionary(fc.constantFrom(...SKIP_REASONS), fc.integer({ min: 1, max: 1000 })),
    dead: fc.array(
      fc.record({
        off: fc.integer({ min: from, max: from + length - 1 }),
        reason: fc.constantFrom(...DEAD_REASONS),
        length: fc.nat(),
        hash: hex(16),
      }),
      { maxLength: 3 },
    ),
    events: fc.array(eventIn(from, from + length), { maxLength: 5 }),
  }),
);

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function decodeError(payload: Uint8Array): ClickledgerError {
  try {
    decodeBatch(payload);
  } catch (error) {
    expect(error).toBeInstanceOf(ClickledgerError);
    expect((error as ClickledgerError).code).toBe('bad-batch');
    return error as ClickledgerError;
  }
  throw new Error('the payload was accepted as a batch');
}

const sampleEvent: Event = {
  off: 10,
  rid: '0'.repeat(32),
  t: 1_700_000_000_000,
  kind: 'click',
  slug: 'ab1',
  link: '1.1',
  head: false,
  ua: '',
  ref: '',
  purpose: '',
  country: null,
  net: null,
  visitor: null,
};
const sampleBatch: Batch = {
  v: 1,
  gen: 'a'.repeat(32),
  shard: 'a',
  shards: 'f'.repeat(16),
  from: 10,
  to: 20,
  skipped: {},
  dead: [{ off: 12, reason: 'torn', length: 3, hash: '0123456789abcdef' }],
  events: [sampleEvent],
};

describe('a batch on the wire', () => {
  test('comes out as it went in, whatever its texts', () => {
    fc.assert(
      fc.property(anyBatch, (value) => {
        expect(decodeBatch(encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('is read from the middle of a larger buffer', () => {
    const bytes = encode(sampleBatch);
    const buffer = new Uint8Array(bytes.length + 20).fill(0x7b);
    buffer.set(bytes, 7);
    expect(decodeBatch(buffer.subarray(7, 7 + bytes.length))).toEqual(sampleBatch);
  });

  test.each([
    ['an event before the range', { ...sampleBatch, events: [{ ...sampleEvent, off: 9 }] }],
    ['an event at the end of the range', { ...sampleBatch, events: [{ ...sampleEvent, off: 20 }] }],
    ['a dead letter outside the range', { ...sampleBatch, dead: [{ ...sampleBatch.dead[0], off: 20 }] }],
    ['a range that runs backwards', { ...sampleBatch, from: 20, to: 10, events: [], dead: [] }],
    ['an event in an empty range', { ...sampleBatch, from: 10, to: 10, dead: [] }],
    [
      'skipped lines in an empty range, which would be counted at every delivery',
      { ...sampleBatch, to: 10, events: [], dead: [], skipped: { forged: 1 } },
    ],
    ['a negative offset', { ...sampleBatch, from: -1 }],
    ['an offset that is no safe integer', { ...sampleBatch, to: 2 ** 60 }],
    ['a fraction', { ...sampleBatch, from: 9.5 }],
    ['another version', { ...sampleBatch, v: 2 }],
    ['a generation in capitals', { ...sampleBatch, gen: 'A'.repeat(32) }],
    ['no shard', { ...sampleBatch, shard: '' }],
    ['an unknown reason for skipping', { ...sampleBatch, skipped: { boredom: 1 } }],
    ['zero skipped lines', { ...sampleBatch, skipped: { forged: 0 } }],
    ['an unknown kind', { ...sampleBatch, events: [{ ...sampleEvent, kind: 'look' }] }],
    ['a link without a version', { ...sampleBatch, events: [{ ...sampleEvent, link: '1' }] }],
    ['link 0', { ...sampleBatch, events: [{ ...sampleEvent, link: '0.1' }] }],
    ['a number as text', { ...sampleBatch, from: '10' }],
    ['a text as number', { ...sampleBatch, events: [{ ...sampleEvent, ua: 7 }] }],
    ['a user agent beyond 512', { ...sampleBatch, events: [{ ...sampleEvent, ua: 'x'.repeat(513) }] }],
    ['a missing field', { ...sampleBatch, events: [{ ...sampleEvent, purpose: undefined }] }],
    ['a time that is no date', { ...sampleBatch, events: [{ ...sampleEvent, t: 8_640_000_000_000_001 }] }],
    ['a visitor that is no number', { ...sampleBatch, events: [{ ...sampleEvent, visitor: '1\n2' }] }],
    ['a hash that is none', { ...sampleBatch, dead: [{ ...sampleBatch.dead[0], hash: '\0' }] }],
    ['a list', [sampleBatch]],
    ['null', null],
  ])('%s is refused', (_, value) => {
    const { message } = decodeError(encode(value));
    expect(message).not.toContain('\n');
  });

  test('the empty batch that closes a generation is one', () => {
    const closing = { ...sampleBatch, from: 20, to: 20, size: 20, dead: [], events: [] };
    expect(decodeBatch(encode(closing))).toEqual(closing);
  });

  test('unknown fields of a newer agent are dropped', () => {
    expect(decodeBatch(encode({ ...sampleBatch, mood: 'fine', events: [{ ...sampleEvent, mood: 'fine' }] }))).toEqual(sampleBatch);
  });

  test('arbitrary bytes are refused and never crash', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodeError(bytes).code === 'bad-batch'));
    fc.assert(fc.property(fc.json(), (json) => decodeError(Buffer.from(json)).code === 'bad-batch'));
    decodeError(Buffer.from('['.repeat(500_000)));
    decodeError(Buffer.from(`{"events":${'['.repeat(100_000)}${']'.repeat(100_000)}}`));
  });

  test('one changed byte gives another batch or a refusal, never anything else', () => {
    const bytes = encode(sampleBatch);
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = Buffer.from(bytes);
        changed[at] = byte;
        try {
          const { from, to, events } = decodeBatch(changed);
          expect(events.every(({ off }) => off >= from && off < to)).toBe(true);
        } catch (error) {
          expect((error as ClickledgerError).code).toBe('bad-batch');
        }
      }),
      runs(2000),
    );
  });
});

describe('questions to the ledger', () => {
  test('question and answer round trip', () => {
    const gens = ['a'.repeat(32), 'b'.repeat(32)];
    expect(parseLedgerRequest(JSON.stringify({ gens }))).toEqual({ gens });
    const reply = { shards: 'f', gens: { [gens[0] as string]: { committed: [[0, 5] as [number, number]], size: null } } };
    expect(parseLedgerReply(JSON.stringify(reply))).toEqual(reply);
  });

  test.each(['', '{}', '{"gens":["x"]}', '{"gens":"a"}', `{"gens":[${'"a",'.repeat(2)}"b"]}`])('%s is no question', (text) => {
    expect(() => parseLedgerRequest(text)).toThrow();
  });
});
