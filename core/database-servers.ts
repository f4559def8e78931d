import { parseDatabaseUrl, singleHostUrls } from './database-url.ts';
import { type Problem, type ProblemCode, problem } from './health.ts';
import { Client } from './postgres.ts';

// The servers of a database with several hosts: which is the primary, and how far the standbys are behind.

/** A standby that is further behind than this is reported: one segment of the write-ahead log. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 3_000;

export interface DatabaseServer {
  /** The host as in the URL. */
  host: string;
  state: 'primary' | 'standby' | 'silent';
  /** The bytes of the write-ahead log of the primary that a standby has not applied yet. Null for a primary, and if it is unknown. */
  behind_bytes: number | null;
  /** The timeline of a primary, which is higher after each promotion. Null for the others. */
  timeline: number | null;
}

interface Reading {
  isStandby: boolean;
  timeline: number | null;
  /** The position in the write-ahead log, in bytes, up to which this server has written or applied it. */
  position: number;
}

// The positions of the write-ahead log are below 2^53 bytes for any real server.
const READ_SERVER = `
  SELECT pg_is_in_recovery() AS "isStandby",
         CASE WHEN NOT pg_is_in_recovery() THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline,
         (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::float8 AS position`;

/** The servers in this URL, in its order. A server that does not answer is `silent`. Any role may read this. */
export async function readServers(text: string): Promise<DatabaseServer[]> {
  const target = parseDatabaseUrl(text);
  const readings = await Promise.all(singleHostUrls(target).map(readServer));
  const written = Math.max(...readings.flatMap((reading) => (reading && !reading.isStandby ? [reading.position] : [])));
  return target.hosts.map((host, i) => {
    const reading = readings[i];
    if (!reading) return { host, state: 'silent', behind_bytes: null, timeline: null };
    if (!reading.isStandby) return { host, state: 'primary', behind_bytes: null, timeline: reading.timeline };
    const behind = Number.isFinite(written) ? Math.max(0, written - reading.position) : null;
    return { host, state: 'standby', behind_bytes: behind, timeline: null };
  });
}

async function readServer(connectionString: string): Promise<Reading | undefined> {
  const client = new Client({
    connectionString,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    application_name: 'clickledger servers',
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Reading>(READ_SERVER)).rows[0];
  } catch {
    return undefined;
  } finally {
    // A server that has disappeared does not answer the farewell either.
    void client.end().catch(() => {});
  }
}

/** The URLs that lead to different lists of hosts, each once. Databases on the same servers need only one reading. URLs with one host are left out. */
export function distinctServers(urls: readonly string[]): { hosts: string; url: string }[] {
  const byHosts = new Map<string, string>();
  for (const url of urls) {
    const { hosts } = parseDatabaseUrl(url);
    if (hosts.length > 1 && !byHosts.has(hosts.join())) byHosts.set(hosts.join(), url);
  }
  return Array.from(byHosts, ([hosts, url]) => ({ hosts, url }));
}

/** The primaries that are former ones: a standby was promoted after them, and they still run. */
export function formerPrimaries(servers: readonly DatabaseServer[]): DatabaseServer[] {
  const newest = Math.max(...servers.map(({ timeline }) => timeline ?? 0));
  return servers.filter(({ timeline }) => timeline !== null && timeline < newest);
}

/** The problems of these servers. `hosts` names them in the messages. */
export function problemsOfServers(hosts: string, servers: readonly DatabaseServer[]): Problem[] {
  const report = (code: ProblemCode, found: readonly DatabaseServer[], detail?: string): Problem[] =>
    found.length === 0 ? [] : [problem(code, found.map(({ host }) => host).join(', '), detail)];
  const primaries = servers.filter(({ state }) => state === 'primary');
  const late = servers.filter(({ behind_bytes: behind }) => behind !== null && behind > MAX_BEHIND_BYTES);
  return [
    ...(primaries.length > 1 ? report('two-primaries', primaries) : []),
    ...(primaries.length === 0 ? [problem('no-primary', hosts)] : []),
    ...report(
      'server-silent',
      servers.filter(({ state }) => state === 'silent'),
    ),
    ...report('standby-behind', late, late.map(({ behind_bytes: behind }) => `${Math.round((behind ?? 0) / 1e6)} MB`).join(', ')),
  ];
}
