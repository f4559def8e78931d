import {
  BURSTS_BY,
  CLICKS_BY,
  DEVICES,
  HOUR,
  MACHINE_SHARE_OF_CLICKS,
  OPEN_RATE,
  OPENS_BY,
  OPENS_PER_OPENER,
  type Timeline,
} from '../test/traffic/figures.ts';
import { growthOf } from './growth-model.ts';

// Computes the hosts, disks and networks for a number of mails a day. docs/scale.md shows the result, and a test keeps it up to date.

/**
 * What one hit costs; bench/README.md has the runs. CPU times are in µs, sizes in bytes. The times of nginx and the backends come from `redirects` and `pixel`:
 * two cores, divided by the requests per second. So they include the load generator. `costs` gives how the time of a click divides.
 */
export const MEASURED = {
  nginxClickMicros: 15,
  backendClickMicros: 39,
  nginxOpenMicros: 21,
  agentMicros: 15,
  natsMicros: 3,
  workerMicros: 17,
  postgresMicros: 28,
  logBytes: 333,
  streamBytes: 122,
  walBytes: 1_000,
  eventBytes: 191,
  countBytes: 31,
} as const;

/** The parts of the traffic. test/traffic/figures.ts has the sources. */
const humanClicks = Object.values(DEVICES).reduce((sum, { share, totalClickRate }) => sum + share * totalClickRate, 0);
export const TRAFFIC = {
  /** For each mail. */
  opens: OPEN_RATE * OPENS_PER_OPENER,
  humanClicks,
  machineClicks: (humanClicks * MACHINE_SHARE_OF_CLICKS) / (1 - MACHINE_SHARE_OF_CLICKS),
  /** The shares in the first hour after sending. */
  opensInFirstHour: shareWithin(OPENS_BY, HOUR),
  humanClicksInFirstHour: shareWithin(CLICKS_BY, HOUR),
  machineClicksInFirstHour: shareWithin(BURSTS_BY, HOUR),
} as const;

/** What the calculation assumes about the installation. */
export const ASSUMED = {
  /** CPU time of TLS for a hit: a full handshake with an ECDSA certificate, because few readers come twice within minutes. */
  tlsMicros: 300,
  /** Bytes of a hit on the network of nginx, with the handshake, both directions. */
  networkBytes: 6_000,
  /** The busiest minute of the first hour, divided by the mean minute. */
  peakMinute: 2,
  /** The share of its cores that a host uses at the peak. */
  utilisation: 0.5,
  coresPerHost: 8,
  /** The hits that one shard commits and judges in a second. One judge at a time works on a shard. */
  hitsPerSecondOfShard: 10_000,
  /** Single hits on the disk of one shard, in TB. */
  terabytesOfShard: 2,
  keepMonths: 13,
  keepLogsDays: 7,
  years: 5,
  rotateMiB: 512,
  campaignsPerDay: 20,
  /** How long the databases may be down while the stream still takes all hits, in minutes. Later hits wait in the log. */
  streamMinutes: 60,
} as const;

export interface Capacity {
  hitsPerDay: number;
  clicksPerSecond: number;
  opensPerSecond: number;
  hitsPerSecond: number;
  edgeCores: number;
  edges: number;
  backendCores: number;
  natsCores: number;
  workerCores: number;
  postgresCores: number;
  shards: number;
  edgeMegabitsPerSecond: number;
  walMegabitsPerSecond: number;
  logBytesPerDay: number;
  logDiskBytes: number;
  streamDiskBytes: number;
  eventDiskBytes: number;
  countDiskBytes: number;
  walBytesPerDay: number;
  generationsPerDay: number;
  ledgerRowsOfShard: number;
}

/** All mails of a day are sent within one hour. So the busiest hour has the hits of the first hour of all mails. */
export function capacityOf(mailsPerDay: number): Capacity {
  const clicks = TRAFFIC.humanClicks + TRAFFIC.machineClicks;
  const hitsPerDay = mailsPerDay * (TRAFFIC.opens + clicks);
  const perSecond = (inFirstHour: number): number => (mailsPerDay * inFirstHour) / 3600;
  const hourlyClicks = perSecond(
    TRAFFIC.humanClicks * TRAFFIC.humanClicksInFirstHour + TRAFFIC.machineClicks * TRAFFIC.machineClicksInFirstHour,
  );
  const hourlyOpens = perSecond(TRAFFIC.opens * TRAFFIC.opensInFirstHour);
  // Redirects must keep up with the busiest minute, counting with the busiest hour.
  const clicksPerSecond = hourlyClicks * ASSUMED.peakMinute;
  const opensPerSecond = hourlyOpens * ASSUMED.peakMinute;
  const hitsPerSecond = hourlyClicks + hourlyOpens;
  const cores = (...loads: readonly (readonly [perSecond: number, micros: number])[]): number =>
    loads.reduce((sum, [rate, micros]) => sum + rate * micros, 0) / 1e6 / ASSUMED.utilisation;
  const edgeCores = cores(
    [clicksPerSecond, MEASURED.nginxClickMicros + ASSUMED.tlsMicros],
    [opensPerSecond, MEASURED.nginxOpenMicros + ASSUMED.tlsMicros],
    [hitsPerSecond, MEASURED.agentMicros],
  );
  // One edge more than the load needs, so that one may fail.
  const edges = Math.ceil(edgeCores / ASSUMED.coresPerHost) + 1;
  const eventDiskBytes = hitsPerDay * (365 / 12) * ASSUMED.keepMonths * MEASURED.eventBytes;
  const shards = Math.max(
    1,
    Math.ceil(hitsPerSecond / ASSUMED.hitsPerSecondOfShard),
    Math.ceil(eventDiskBytes / 1e12 / ASSUMED.terabytesOfShard),
  );
  const logBytesPerDay = hitsPerDay * MEASURED.logBytes;
  const { years, rotateMiB, campaignsPerDay } = ASSUMED;
  const growth = growthOf({ logBytesPerDay, edges, shards, years, rotateMiB, campaignsPerDay });
  return {
    hitsPerDay,
    clicksPerSecond,
    opensPerSecond,
    hitsPerSecond,
    edgeCores,
    edges,
    backendCores: cores([clicksPerSecond, MEASURED.backendClickMicros]),
    natsCores: cores([hitsPerSecond, MEASURED.natsMicros]),
    workerCores: cores([hitsPerSecond, MEASURED.workerMicros]),
    postgresCores: cores([hitsPerSecond, MEASURED.postgresMicros]),
    shards,
    edgeMegabitsPerSecond: ((clicksPerSecond + opensPerSecond) * ASSUMED.networkBytes * 8) / 1e6,
    walMegabitsPerSecond: (hitsPerSecond * MEASURED.walBytes * 8) / 1e6,
    logBytesPerDay,
    logDiskBytes: logBytesPerDay * ASSUMED.keepLogsDays,
    streamDiskBytes: hitsPerSecond * MEASURED.streamBytes * ASSUMED.streamMinutes * 60,
    eventDiskBytes,
    countDiskBytes: hitsPerDay * 365 * years * MEASURED.countBytes,
    walBytesPerDay: hitsPerDay * MEASURED.walBytes,
    generationsPerDay: growth.generationsPerDay,
    ledgerRowsOfShard: growth.generations,
  };
}

/** The share of events of a timeline up to a time. Between two points the share grows evenly. */
export function shareWithin(timeline: Timeline, ms: number): number {
  const after = timeline.findIndex(([, at]) => at > ms);
  if (after === -1) return 1;
  if (after === 0) return 0;
  const [[shareBefore, before], [shareAfter, end]] = [timeline[after - 1], timeline[after]] as [Timeline[number], Timeline[number]];
  return shareBefore + ((shareAfter - shareBefore) * (ms - before)) / (end - before);
}
