import { expect, test } from 'vitest';
import type { Hit } from './hits.ts';
import {
  clicksByLink,
  firstClickDelays,
  forwards,
  hitsByHour,
  mostEngaged,
  nonOpeners,
  opensByHour,
  recipientsWhoOpened,
  totals,
  uniqueRecipients,
  visitorsPerLink,
  weekHeatmap,
} from './recount.ts';

// Monday, 5 October 2026.
const SENT_AT = Date.UTC(2026, 9, 5, 21, 0, 0);

function at(time: string, who: 'person' | 'machine', kind: 'click' | 'open', recipient: number, link = 0, ip = `10.0.0.${recipient}`): Hit {
  const truth = { who, cause: who === 'person' ? ('reader' as const) : ('scanner-burst' as const) };
  return { t: Date.parse(`2026-10-${time}Z`), method: 'GET', kind, recipient, link, ip, ua: 'Browser', referrer: '', purpose: '', truth };
}

// The hits are deliberately out of order. There are six recipients, 0 to 5. Recipient 4 has only hits of machines, and recipient 5 has no
// hits. The number -1 stands for a shared link.
const HITS = [
  at('05T21:20:00', 'person', 'click', 0, 2),
  at('05T21:10:00', 'person', 'open', 0),
  at('05T21:15:00', 'person', 'click', 0, 1),
  at('05T22:30:00', 'person', 'open', 1),
  at('05T22:31:00', 'person', 'open', 1),
  at('05T23:59:59', 'person', 'click', 0, 1, '10.9.9.9'),
  at('06T00:00:01', 'person', 'click', 0, 1, '10.9.9.8'),
  at('05T21:00:40', 'machine', 'open', 4),
  at('05T21:00:41', 'machine', 'click', 4, 1),
  at('05T21:00:41', 'machine', 'click', 4, 2),
  at('05T21:00:30', 'machine', 'click', 0, 1),
  at('12T21:30:00', 'person', 'click', 3, 2),
  at('05T21:05:00', 'person', 'click', -1, 2),
  at('05T21:06:00', 'person', 'click', -1, 2, '10.7.7.7'),
];

test('counts hits and recipients', () => {
  expect(totals(HITS)).toEqual({ click: { person: 7, machine: 3 }, open: { person: 3, machine: 1 } });
  expect(uniqueRecipients(HITS)).toEqual({ click: { person: 2, machine: 2 }, open: { person: 2, machine: 1 } });
});

test('counts by the hour of a local clock', () => {
  expect([...hitsByHour(HITS, 0)]).toEqual([
    ['2026-10-05T21', { click: { person: 4, machine: 3 }, open: { person: 1, machine: 1 } }],
    ['2026-10-05T22', { click: { person: 0, machine: 0 }, open: { person: 2, machine: 0 } }],
    ['2026-10-05T23', { click: { person: 1, machine: 0 }, open: { person: 0, machine: 0 } }],
    ['2026-10-06T00', { click: { person: 1, machine: 0 }, open: { person: 0, machine: 0 } }],
    ['2026-10-12T21', { click: { person: 1, machine: 0 }, open: { person: 0, machine: 0 } }],
  ]);
  // With an offset of 5 h 30 min, 21:20 and 22:31 are in different hours than in UTC.
  expect([...hitsByHour(HITS, 330).keys()]).toEqual(['2026-10-06T02', '2026-10-06T04', '2026-10-06T05', '2026-10-13T03']);
  expect([...hitsByHour(HITS, -60).keys()][3]).toBe('2026-10-05T23');

  const opens = opensByHour(HITS, 120);
  expect([opens.person[23], opens.person[0], opens.machine[23]]).toEqual([1, 2, 1]);
  expect(opens.person.reduce((a, b) => a + b)).toBe(3);
});

test('lays people and machines over the week', () => {
  const week = weekHeatmap(HITS, 'click', 'person', 0);
  // Two Mondays at 21 h: four clicks on the first, one a week later.
  expect([week[0]?.[21], week[0]?.[23], week[1]?.[0]]).toEqual([5, 1, 1]);
  expect(week.flat().reduce((a, b) => a + b)).toBe(7);
  expect(weekHeatmap(HITS, 'open', 'person', 120)[1]?.[0]).toBe(2);
  expect(weekHeatmap(HITS, 'click', 'machine', 0)[0]?.[21]).toBe(3);
});

test('counts by link', () => {
  expect([...clicksByLink(HITS)]).toEqual([
    [1, { person: 3, machine: 2, people: 1 }],
    [2, { person: 4, machine: 1, people: 2 }],
  ]);
});

test('finds the first click of a person, not that of a machine before', () => {
  expect([...firstClickDelays(HITS, SENT_AT)].sort((a, b) => a[0] - b[0])).toEqual([
    [0, 15 * 60_000],
    [3, 7 * 86_400_000 + 30 * 60_000],
  ]);
});

test('tells who has opened and who has not: who clicked has', () => {
  expect(recipientsWhoOpened(HITS)).toBe(3);
  expect(nonOpeners(HITS, 6, 'person')).toEqual([2, 4, 5]);
  expect(nonOpeners(HITS, 6, 'anyone')).toEqual([2, 5]);
  expect(nonOpeners(HITS, 6, 'machine')).toEqual([1, 2, 3, 5]);
});

test('ranks recipients by what people did', () => {
  expect(mostEngaged(HITS)).toEqual([
    { recipient: 0, clicks: 4, opens: 1 },
    { recipient: 3, clicks: 1, opens: 0 },
    { recipient: 1, clicks: 0, opens: 2 },
  ]);
});

test('counts visitors by link and UTC day', () => {
  expect(visitorsPerLink(HITS)).toEqual([
    { recipient: -1, link: 2, day: '2026-10-05', visitors: 2 },
    { recipient: 0, link: 1, day: '2026-10-05', visitors: 2 },
    { recipient: 0, link: 1, day: '2026-10-06', visitors: 1 },
    { recipient: 0, link: 2, day: '2026-10-05', visitors: 1 },
    { recipient: 3, link: 2, day: '2026-10-12', visitors: 1 },
  ]);
  expect(forwards(HITS)).toEqual([{ recipient: 0, link: 1, day: '2026-10-05', visitors: 2 }]);
});
