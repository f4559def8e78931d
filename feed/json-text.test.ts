import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SIGNALS, VERDICTS } from '../core/rules.ts';
import { runs } from '../test/support/runs.ts';
import { type Address, type FeedEvent, type Item, toJson } from './event.ts';
import { EVENT_KINDS } from './filter.ts';
import { toJsonText } from './json-text.ts';

const anyText = fc.option(fc.string({ unit: 'binary', maxLength: 12 }), { nil: null });
const number = fc.option(fc.nat(), { nil: null });
const event: fc.Arbitrary<FeedEvent> = fc.record({
  gen: fc.uuid(),
  off: fc.maxSafeNat(),
  kind: fc.constantFrom(...EVENT_KINDS),
  at: fc.integer({ min: 0, max: 4e12 }),
  campaign_id: number,
  link_id: number,
  link_version: number,
  recipient_id: fc.option(fc.nat(3), { nil: null }),
  visitor: fc.option(fc.maxSafeInteger().map(String), { nil: null }),
  country: anyText,
  net: anyText,
  referrer: anyText,
  client: anyText,
  client_version: anyText,
  system: anyText,
  device: anyText,
  verdict: fc.constantFrom(...VERDICTS, null),
  signals: fc.option(
    fc.subarray([...SIGNALS]).map((list) => list.join(',')),
    { nil: null },
  ),
  rules: number,
  request_id: fc.uuid(),
  site: fc.constant(null),
});
const item: fc.Arbitrary<Item> = fc.oneof(
  event.map((one): Item => ({ event: one })),
  event.map((one): Item => ({ event: one, change: { changedAt: 1_795_939_201_000_123, was: 'human', becomes: 'burst' } })),
);
const addresses = fc.option(
  fc.array(fc.record({ email: anyText, external_id: anyText })).map((list) => new Map(list.map((one: Address, i) => [i, one]))),
  { nil: undefined },
);

test('the text of an item is that of its object', () => {
  fc.assert(
    fc.property(item, addresses, (one, known) => {
      expect(toJsonText(one, 'a', known)).toBe(JSON.stringify(toJson(one, 'a', known)));
    }),
    runs(2000),
  );
});
