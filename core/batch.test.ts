import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { encodeV1, eventsOf } from '../test/support/events.ts';
import { decodeBatch, encodeBatch } from './batch.ts';
import { type BatchV1, columnsOf, type Event } from './batch-v1.ts';
import { ClickledgerError } from './errors.ts';
import { type Batch, DEAD_REASONS, HIT_KINDS, KINDS, SKIP_REASONS } from './event.ts';
import { isSiteKind } from './site-event.ts';

const hex = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).map((s) => s.slice(0, maxLength));
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const eventIn = (from: number, to: number): fc.Arbitrary<Event> =>
  fc.record({
    off: fc.integer({ min: from, max: to - 1 }),
    rid: hex(32),
    t: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    kind: fc.constantFrom(...HIT_KINDS),
    slug: fc.string({ unit: fc.constantFrom(...'azAZ09_-'.split('')), minLength: 1, maxLength: 64 }),
    link: orNull(fc.tuple(fc.integer({ min: 1, max: 2 ** 50 }), fc.nat({ max: 999_999_999 })).map(([l, v]) => `${l}.${v}`)),
    head: fc.boolean(),
    altered: fc.boolean(),
    ua: text(512),
    ref: text(512),
    purpose: text(64),
    country: orNull(fc.constantFrom('DE', 'FR')),
    net: orNull(text(64)),
    visitor: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  });

const anyBatch: fc.Arbitrary<Batch> = fc.tuple(fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 20 })).chain(([from, length]) =>
  fc.record({
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
    events: fc.array(eventIn(from, from + length), { maxLength: 5 }).map(columnsOf),
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

const sampleEvent: BatchV1['events'][number] & Event = {
  off: 10,
  rid: '0'.repeat(32),
  t: 1_700_000_000_000,
  kind: 'click',
  slug: 'ab1',
  link: '1.1',
  head: false,
  altered: false,
  ua: '',
  ref: '',
  purpose: '',
  country: null,
  net: null,
  visitor: null,
};
const sampleBatch: BatchV1 = {
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

/** A batch with its events as objects, which are easier to compare. */
const readable = ({ events, ...head }: Batch) => ({ ...head, events: eventsOf(events) });
const { v: _, ...sampleRead } = sampleBatch;

describe.each([
  ['1', encodeV1],
  ['2', encodeBatch],
])('a batch of version %s', (_, encodeAs) => {
  test('comes out as it went in, whatever its texts', () => {
    fc.assert(
      fc.property(anyBatch, (value) => {
        // Version 1 does not say whether a path was altered.
        const altered = value.events.altered.map((isAltered) => isAltered && encodeAs === encodeBatch);
        expect(readable(decodeBatch(encodeAs(value)))).toEqual(readable({ ...value, events: { ...value.events, altered } }));
      }),
    );
  });

  test('has site events from version 2 on, each with its fields', () => {
    const site = { site: '00abcdefghijklmnopq', name: 'sign up "ü"', value: '1.5', properties: { plan: 'a\u2028b' }, dropped: 1 };
    const events = columnsOf([
      sampleEvent,
      { ...sampleEvent, kind: 'goal', slug: '-', site },
      { ...sampleEvent, kind: 'visit', site: { site: site.site, name: '', dropped: 0 } },
    ]);
    const bytes = encodeAs({ ...sampleRead, events });
    if (encodeAs !== encodeBatch) return expect(decodeError(bytes).message).toContain('events: invalid_value');
    expect(decodeBatch(bytes).events).toEqual(events);
    const changed = (from: string, to: string): Buffer => Buffer.from(bytes.toString('utf8').replace(from, to));
    for (const [from, to] of [
      ['"dropped":0', '"dropped":-1'],
      ['"dropped":0', '"dropped":0,"other":1'],
      ['"value":"1.5"', '"value":1.5'],
      ['"value":"1.5"', '"value":"NaN"'],
      ['"plan":"a', '"a plan":"a'],
      ['click\tgoal\tvisit', 'click\tgoal\tgoal'],
      ['click\tgoal\tvisit', 'visit\tgoal\tvisit'],
      ['click\tgoal\tvisit', 'click\tclick\tvisit'],
    ] as const) {
      const result = changed(from, to);
      expect(decodeError(result), to).toBeDefined();
    }
  });

  test('has unsubscribes from version 2 on', () => {
    const bytes = encodeAs({ ...sampleRead, events: columnsOf([{ ...sampleEvent, kind: 'unsubscribe' }]) });
    if (encodeAs === encodeBatch) expect(decodeBatch(bytes).events.kind).toEqual(['unsubscribe']);
    else expect(() => decodeBatch(bytes)).toThrow('events');
  });

  test('is read from the middle of a larger buffer', () => {
    const bytes = encodeAs({ ...sampleRead, events: columnsOf([sampleEvent]) });
    const buffer = new Uint8Array(bytes.length + 20).fill(0x7b);
    buffer.set(bytes, 7);
    expect(readable(decodeBatch(buffer.subarray(7, 7 + bytes.length)))).toEqual(sampleRead);
  });

  test('of which one byte is changed is another batch or refused, never anything else', () => {
    const bytes = encodeAs({ ...sampleRead, events: columnsOf([sampleEvent, { ...sampleEvent, off: 11, visitor: '-1', ua: 'é' }]) });
    for (let at = 0; at < bytes.length; at++) {
      for (const byte of [0, 9, 10, 34, 44, 45, 48, 57, 65, 92, 97, 123, 125, 128, 255]) {
        const changed = Buffer.from(bytes);
        changed[at] = byte;
        expectBatchOrRefusal(changed);
      }
    }
  });

  test('of which a piece is missing, doubled or from another batch is another batch or refused', () => {
    const cut = fc.tuple(anyBatch, anyBatch, fc.nat(), fc.nat(), fc.nat());
    fc.assert(
      fc.property(cut, ([one, other, a, b, c]) => {
        const [first, second] = [encodeAs(one), encodeAs(other)];
        expectBatchOrRefusal(Buffer.concat([first.subarray(0, a % first.length), first.subarray(b % first.length)]));
        expectBatchOrRefusal(Buffer.concat([first.subarray(0, a % first.length), second.subarray(c % second.length)]));
      }),
      runs(500),
    );
  });
});

/** Checks that a payload is either refused with `bad-batch` or decoded to a batch that has all properties on which the worker relies. */
function expectBatchOrRefusal(payload: Buffer): void {
  let batch: Batch;
  try {
    batch = decodeBatch(payload);
  } catch (error) {
    expect((error as ClickledgerError).code).toBe('bad-batch');
    return;
  }
  const { from, to, events, dead } = batch;
  const { agents, referrers, purposes, origins, sites, ...columns } = events;
  expect(sites).toHaveLength(events.kind.filter(isSiteKind).length);
  expect(new Set(Object.values(columns).map(({ length }) => length)).size).toBe(1);
  for (const off of [...events.off, ...dead.map(({ off }) => off)].map(Number)) expect(off >= from && off < to).toBe(true);
  for (const off of events.off) expect(off).toMatch(/^\d+$/);
  for (const rid of events.rid) expect(rid).toMatch(/^[0-9a-f]{32}$/);
  for (const visitor of events.visitor) expect(visitor ?? '0').toMatch(/^-?\d+$/);
  for (const kind of events.kind) expect(KINDS).toContain(kind);
  for (const t of events.t) expect(Number.isNaN(new Date(t).getTime())).toBe(false);
  for (const event of eventsOf(events)) expect([event.ua, event.ref, event.purpose, event.net]).not.toContain(undefined);
  const listed = [
    [events.agent, agents],
    [events.referrer, referrers],
    [events.purpose, purposes],
    [events.origin, origins],
  ] as const;
  for (const [indexes, values] of listed) for (const index of indexes) expect(index in values).toBe(true);
}

describe('messages of version 2', () => {
  const batch = { ...sampleRead, events: columnsOf([sampleEvent, { ...sampleEvent, off: 11, visitor: '-1', ua: 'Mail', link: null }]) };
  const [head = '', ...lines] = encodeBatch(batch).toString().split('\n');
  const message = (newHead: object, newLines: readonly string[]): Buffer =>
    Buffer.from([JSON.stringify({ ...(JSON.parse(head) as object), ...newHead }), ...newLines].join('\n'));
  const withLine = (at: number, line: string): string[] => lines.map((old, i) => (i === at ? line : old));

  test('are what the tests below change', () => {
    expect(decodeBatch(message({}, lines))).toEqual(decodeBatch(encodeBatch(batch)));
    expect(lines).toHaveLength(12);
  });

  test.each<[string, object, string[]]>([
    ['no columns', {}, []],
    ['a missing column', {}, lines.slice(1)],
    ['one column too many', {}, [...lines, '1\t2']],
    ['a line feed at the end', {}, [...lines, '']],
    ['another count', { count: 3 }, lines],
    ['no count', { count: undefined }, lines],
    ['columns of no events', { count: 0 }, lines],
    ['an offset before the range', {}, withLine(0, '9\t11')],
    ['an offset at the end of the range', {}, withLine(0, '10\t20')],
    ['an offset in another notation', {}, withLine(0, '1e1\t11')],
    ['an empty offset', {}, withLine(0, '\t11')],
    ['a request id in capitals', {}, withLine(1, `${'A'.repeat(32)}\t${'0'.repeat(32)}`)],
    ['a time that is no date', {}, withLine(2, '8640000000000001\t1')],
    ['an unknown kind', {}, withLine(3, 'click\tlook')],
    ['two values where one belongs', {}, withLine(3, 'click\topen\topen')],
    ['an end of COPY', {}, withLine(3, '\\.\tclick')],
    ['a slug with a backslash', {}, withLine(5, 'ab1\tab\\N')],
    ['a slug that is too long', {}, withLine(5, `ab1\t${'a'.repeat(65)}`)],
    ['a slug beyond ASCII', {}, withLine(5, 'ab1\tabé')],
    ['link 0', {}, withLine(6, '0.1\t-')],
    ['a visitor that is no number', {}, withLine(7, '1\t--1')],
    ['an index that is not listed', {}, withLine(8, '0\t2')],
    ['an index below zero', {}, withLine(8, '0\t-1')],
    ['an unlisted origin', { origins: [] }, lines],
    ['a user agent beyond 512 characters', { agents: ['x'.repeat(513), 'Mail'] }, lines],
    ['a user agent that is a number', { agents: [7, 'Mail'] }, lines],
    ['a purpose beyond 64 characters', { purposes: ['x'.repeat(65)] }, lines],
    ['a country of three letters', { origins: [['DEU', null]] }, lines],
    ['a country of other characters', { origins: [['\\t', null]] }, lines],
    ['a network label beyond 64 characters', { origins: [['DE', 'x'.repeat(65)]] }, lines],
    ['a backward range', { from: 20, to: 10 }, lines],
    ['skipped lines in an empty range', { to: 10, dead: [], count: 0, skipped: { forged: 1 } }, []],
    ['another version', { v: 3 }, lines],
  ])('%s is refused', (_, newHead, newLines) => {
    expect(decodeError(message(newHead, newLines)).message).not.toContain('\n');
  });

  test('a batch without events has no columns', () => {
    const closing = { ...sampleRead, from: 20, to: 20, size: 20, dead: [], events: columnsOf([]) };
    expect(encodeBatch(closing).toString()).not.toContain('\n');
    expect(readable(decodeBatch(encodeBatch(closing)))).toEqual(readable(closing));
  });

  test('unknown fields of the head are dropped', () => {
    expect(decodeBatch(message({ mood: 'fine' }, lines))).toEqual(decodeBatch(encodeBatch(batch)));
  });

  test('a large message with hostile columns is refused and does not exhaust the stack', () => {
    const tabs = '\t'.repeat(400_000);
    const digits = '1\t'.repeat(200_000);
    for (const line of [tabs, digits, `${digits}x`]) decodeError(message({ count: 200_001 }, withLine(0, line)));
  });
});

describe('messages of version 1', () => {
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
    const { v: _, ...read } = closing;
    expect(readable(decodeBatch(encode(closing)))).toEqual(read);
  });

  test('unknown fields of a newer agent are dropped', () => {
    expect(readable(decodeBatch(encode({ ...sampleBatch, mood: 'fine', events: [{ ...sampleEvent, mood: 'fine' }] })))).toEqual(sampleRead);
  });

  test('arbitrary bytes are refused and never crash', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodeError(bytes).code === 'bad-batch'));
    fc.assert(fc.property(fc.json(), (json) => decodeError(Buffer.from(json)).code === 'bad-batch'));
    decodeError(Buffer.from('['.repeat(500_000)));
    decodeError(Buffer.from(`{"events":${'['.repeat(100_000)}${']'.repeat(100_000)}}`));
  });
});
