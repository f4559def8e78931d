import { ASSUMED, type Capacity, capacityOf, MEASURED, TRAFFIC } from './capacity.ts';

// The tables of docs/scale.md, as Markdown.

export const MAILS = [1e6, 50e6, 1000e6];

const number = (value: number): string =>
  value.toLocaleString('en-US', {
    maximumFractionDigits: value < 1 ? 3 : value < 10 ? 1 : 0,
    maximumSignificantDigits: value < 100 ? 2 : 3,
  });
const percent = (share: number): string => `${number(share * 100)} %`;
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

function bytes(value: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${number(value / 1000 ** power)} ${UNITS[power]}`;
}

const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n');

/** What the calculation starts from. */
export function inputTable(): string {
  const measured = (what: string, letter: string, text: string): string[] => [letter, what, text, 'measured'];
  const figures = (what: string, letter: string, text: string): string[] => [
    letter,
    what,
    text,
    '[figures.ts](../test/traffic/figures.ts)',
  ];
  const assumed = (what: string, letter: string, text: string): string[] => [letter, what, text, 'assumed'];
  return table(
    ['', 'what', 'value', 'from'],
    [
      figures('opens for a mail, by people and by Apple’s proxy', 'o', number(TRAFFIC.opens)),
      figures('clicks of people for a mail', 'p', number(TRAFFIC.humanClicks)),
      figures('clicks of machines for a mail', 'm', number(TRAFFIC.machineClicks)),
      figures(
        'of these in the first hour: opens, clicks of people, clicks of machines',
        'o₁ p₁ m₁',
        [TRAFFIC.opensInFirstHour, TRAFFIC.humanClicksInFirstHour, TRAFFIC.machineClicksInFirstHour].map(percent).join(', '),
      ),
      assumed('the busiest minute of this hour, divided by the mean minute', 'b', number(ASSUMED.peakMinute)),
      measured(
        'CPU of nginx for a click, and for an open, without TLS',
        'n, n′',
        `${MEASURED.nginxClickMicros}, ${MEASURED.nginxOpenMicros} µs`,
      ),
      assumed('CPU of TLS for a hit: a full handshake with an ECDSA certificate', 't', `${ASSUMED.tlsMicros} µs`),
      measured('CPU of a backend for a click', 'k', `${MEASURED.backendClickMicros} µs`),
      measured(
        'CPU for a hit: agent, NATS, worker, Postgres',
        'a, j, w, g',
        `${MEASURED.agentMicros}, ${MEASURED.natsMicros}, ${MEASURED.workerMicros}, ${MEASURED.postgresMicros} µs`,
      ),
      measured(
        'bytes of a hit: log, stream, WAL, single hit with its indexes, counts and sets',
        'L, S, W, E, C',
        [MEASURED.logBytes, MEASURED.streamBytes, MEASURED.walBytes, MEASURED.eventBytes, MEASURED.countBytes].join(', '),
      ),
      assumed('bytes of a hit on the network of nginx, with the handshake', 'N', number(ASSUMED.networkBytes)),
      assumed(
        'share of its cores that a host uses at the peak; cores of a host',
        'u',
        `${percent(ASSUMED.utilisation)}; ${ASSUMED.coresPerHost}`,
      ),
      assumed('hits that a shard commits and judges in a second', '', number(ASSUMED.hitsPerSecondOfShard)),
      assumed('single hits are kept for; a shard has at most', '', `${ASSUMED.keepMonths} months; ${ASSUMED.terabytesOfShard} TB of them`),
      assumed(
        'logs are kept for (`KEEP_LOGS_DAYS`); a log is rotated at',
        '',
        `${ASSUMED.keepLogsDays} days; ${ASSUMED.rotateMiB} MiB, at least daily`,
      ),
    ],
  );
}

type Line = readonly [what: string, formula: string, show: (capacity: Capacity) => string];

const LINES: readonly Line[] = [
  ['hits a day', 'M (o + p + m)', (c) => number(c.hitsPerDay)],
  ['clicks/s in the busiest minute', 'b M (p p₁ + m m₁) / 3600', (c) => number(c.clicksPerSecond)],
  ['opens/s in the busiest minute', 'b M o o₁ / 3600', (c) => number(c.opensPerSecond)],
  ['hits/s in the busiest hour (H)', 'both / b', (c) => number(c.hitsPerSecond)],
  ['cores of edges (nginx, TLS, agent)', '(clicks (n + t) + opens (n′ + t) + H a) / u', (c) => number(c.edgeCores)],
  ['edges, one of them spare', 'cores / 8 + 1', (c) => number(c.edges)],
  ['cores of backends', 'clicks k / u', (c) => number(c.backendCores)],
  ['cores of NATS', 'H j / u', (c) => number(c.natsCores)],
  ['cores of workers', 'H w / u', (c) => number(c.workerCores)],
  ['cores of Postgres, all shards', 'H g / u', (c) => number(c.postgresCores)],
  ['shards', 'the larger of H / 10,000 and disk / 2 TB', (c) => number(c.shards)],
  ['network of edges, Mbit/s', '(clicks + opens) N', (c) => number(c.edgeMegabitsPerSecond)],
  ['WAL to each standby, Mbit/s', 'H W', (c) => number(c.walMegabitsPerSecond)],
  ['log a day', 'hits L', (c) => bytes(c.logBytesPerDay)],
  ['log disks, all edges', '× 7', (c) => bytes(c.logDiskBytes)],
  ['stream for an hour without databases, each replica', 'H S × 3600', (c) => bytes(c.streamDiskBytes)],
  ['single hits, all shards', 'hits E × 13 months', (c) => bytes(c.eventDiskBytes)],
  ['counts and sets after 5 years', 'hits C × 5 years', (c) => bytes(c.countDiskBytes)],
  ['WAL a day (archive)', 'hits W', (c) => bytes(c.walBytesPerDay)],
  ['logs a day', 'edges × max(1, log / edges / 512 MiB)', (c) => number(c.generationsPerDay)],
  ['rows of the ledger of a shard after 5 years', '× 365 × 5', (c) => number(c.ledgerRowsOfShard)],
];

/** The capacity for each number of mails a day. */
export function capacityTable(mails: readonly number[]): string {
  const capacities = mails.map(capacityOf);
  return table(
    ['mails a day (M)', 'computed as', ...mails.map(number)],
    LINES.map(([what, formula, show]) => [what, formula, ...capacities.map(show)]),
  );
}
