import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { ClickledgerError } from './errors.ts';
import { type Batch, DEAD_REASONS, decodeBatch, type Event, KINDS, parseLedgerAnswer, parseLedgerQuestion, SKIP_REASONS } from './event.ts';

const hex = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).map((s) => s.slice(0, maxLength));
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const event = (from: number, to: number): fc.Arbitrary<Event> =>
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

const batch: fc.Arbitrary<Batch> = fc.tuple(fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 20 })).chain(([from, length]) =>
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
    events: fc.array(event(from, from + length), { maxLength: 5 }),
  }),
);

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function refusal(payload: Uint8Array): ClickledgerError {
  try {
    decodeBatch(payload);
  } catch (error) {
    expect(error).toBeInstanceOf(ClickledgerError);
    expect((error as ClickledgerError).code).toBe('bad-batch');
    return error as ClickledgerError;
  }
  throw new Error('it was taken for a batch');
}

const one: Event = {
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
const good: Batch = {
  v: 1,
  gen: 'a'.repeat(32),
  shard: 'a',
  shards: 'f'.repeat(16),
  from: 10,
  to: 20,
  skipped: {},
  dead: [{ off: 12, reason: 'torn', length: 3, hash: '0123456789abcdef' }],
  events: [one],
};

describe('a batch on the wire', () => {
  test('comes out as it went in, whatever its texts', () => {
    fc.assert(
      fc.property(batch, (value) => {
        expect(decodeBatch(encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('is read from the middle of a larger buffer', () => {
    const bytes = encode(good);
    const within = new Uint8Array(bytes.length + 20).fill(0x7b);
    within.set(bytes, 7);
    expect(decodeBatch(within.subarray(7, 7 + bytes.length))).toEqual(good);
  });

  test.each([
    ['an event before the range', { ...good, events: [{ ...one, off: 9 }] }],
    ['an event at the end of the range', { ...good, events: [{ ...one, off: 20 }] }],
    ['a dead letter outside the range', { ...good, dead: [{ ...good.dead[0], off: 20 }] }],
    ['a range that runs backwards', { ...good, from: 20, to: 10, events: [], dead: [] }],
    ['an event in an empty range', { ...good, from: 10, to: 10, dead: [] }],
    [
      'skipped lines in an empty range, which would be counted at every delivery',
      { ...good, to: 10, events: [], dead: [], skipped: { forged: 1 } },
    ],
    ['a negative offset', { ...good, from: -1 }],
    ['an offset that is no safe integer', { ...good, to: 2 ** 60 }],
    ['a fraction', { ...good, from: 9.5 }],
    ['another version', { ...good, v: 2 }],
    ['a generation in capitals', { ...good, gen: 'A'.repeat(32) }],
    ['no shard', { ...good, shard: '' }],
    ['an unknown reason for skipping', { ...good, skipped: { boredom: 1 } }],
    ['zero skipped lines', { ...good, skipped: { forged: 0 } }],
    ['an unknown kind', { ...good, events: [{ ...one, kind: 'look' }] }],
    ['a link without a version', { ...good, events: [{ ...one, link: '1' }] }],
    ['link 0', { ...good, events: [{ ...one, link: '0.1' }] }],
    ['a number as text', { ...good, from: '10' }],
    ['a text as number', { ...good, events: [{ ...one, ua: 7 }] }],
    ['a user agent beyond 512', { ...good, events: [{ ...one, ua: 'x'.repeat(513) }] }],
    ['a missing field', { ...good, events: [{ ...one, purpose: undefined }] }],
    ['a time that is no date', { ...good, events: [{ ...one, t: 8_640_000_000_000_001 }] }],
    ['a visitor that is no number', { ...good, events: [{ ...one, visitor: '1\n2' }] }],
    ['a hash that is none', { ...good, dead: [{ ...good.dead[0], hash: '\0' }] }],
    ['a list', [good]],
    ['null', null],
  ])('%s is refused', (_, value) => {
    const { message } = refusal(encode(value));
    expect(message).not.toContain('\n');
  });

  test('the empty batch that closes a generation is one', () => {
    const closing = { ...good, from: 20, to: 20, size: 20, dead: [], events: [] };
    expect(decodeBatch(encode(closing))).toEqual(closing);
  });

  test('unknown fields of a newer agent are dropped', () => {
    expect(decodeBatch(encode({ ...good, mood: 'fine', events: [{ ...one, mood: 'fine' }] }))).toEqual(good);
  });

  test('arbitrary bytes are refused and never crash', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => refusal(bytes).code === 'bad-batch'));
    fc.assert(fc.property(fc.json(), (json) => refusal(Buffer.from(json)).code === 'bad-batch'));
    refusal(Buffer.from('['.repeat(500_000)));
    refusal(Buffer.from(`{"events":${'['.repeat(100_000)}${']'.repeat(100_000)}}`));
  });

  test('one changed byte gives another batch or a refusal, never anything else', () => {
    const bytes = encode(good);
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
    expect(parseLedgerQuestion(JSON.stringify({ gens }))).toEqual({ gens });
    const answer = { shards: 'f', gens: { [gens[0] as string]: { committed: [[0, 5] as [number, number]], size: null } } };
    expect(parseLedgerAnswer(JSON.stringify(answer))).toEqual(answer);
  });

  test.each(['', '{}', '{"gens":["x"]}', '{"gens":"a"}', `{"gens":[${'"a",'.repeat(2)}"b"]}`])('%s is no question', (question) => {
    expect(() => parseLedgerQuestion(question)).toThrow();
  });
});
