import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressOf, AUDIENCES, parseState, RANGES, type State, TABS } from './state.ts';

const time = fc.option(fc.constantFrom('2030-05-01', '2030-05-01T08:30', '2030-05-01 08:30'), { nil: undefined });
const anyState: fc.Arbitrary<State> = fc.record({
  who: fc.constantFrom(...AUDIENCES),
  range: fc.constantFrom(...RANGES),
  from: time,
  to: time,
  facet: fc.constantFrom(...TABS),
  zone: fc.option(fc.constantFrom('Asia/Kathmandu', 'America/New_York', 'UTC'), { nil: undefined }),
  part: fc.constantFrom('html', 'text'),
  letter: fc.option(fc.constantFrom('ab12', '00ff'), { nil: undefined }),
  images: fc.boolean(),
});

test('an address holds all that was chosen', () => {
  fc.assert(
    fc.property(anyState, (state) => {
      const { searchParams } = new URL(addressOf('/campaign/1', state), 'http://localhost');
      const isCustom = state.range === 'custom';
      expect(parseState(Object.fromEntries(searchParams))).toEqual({
        ...state,
        from: isCustom ? state.from : undefined,
        to: isCustom ? state.to : undefined,
      });
    }),
  );
});

test('what is as by default is not in the address', () => {
  expect(addressOf('/campaign/1', parseState({}))).toBe('/campaign/1');
  expect(addressOf('/campaign/1', parseState({ who: 'people', range: '' }), { who: 'machines', hash: 'time' })).toBe(
    '/campaign/1?who=machines#time',
  );
});

test.each([{ who: 'all' }, { range: '1d' }, { zone: 'PST' }, { from: '1 May' }, { facet: 'shoes' }, { part: 'amp' }, { images: 'yes' }])(
  '%j is a mistake',
  (query) => {
    expect(() => parseState(query as unknown as Record<string, string>)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  },
);
