// The problems that a part may have while it continues to work, and the action that a person should take for each. The code of a problem is
// for programs, and its meaning never changes. The sentences are for people. `clickledger status` finds some of the problems itself, by
// checking the parts from outside.

export const PART_KINDS = ['backend', 'agent', 'worker', 'relay', 'desk', 'forwarder'] as const;
export type PartKind = (typeof PART_KINDS)[number];

interface Kind {
  /** The parts that may report the problem. `status` is the command `clickledger status`. */
  of: readonly (PartKind | 'status')[];
  what: string;
  mend: string;
}

const KINDS = {
  starting: {
    of: PART_KINDS,
    what: 'the part has not started yet, or is stopping',
    mend: 'wait a moment; if it does not become ready, its log shows what it waits for',
  },
  'links-stale': {
    of: ['backend'],
    what: 'the catalog does not answer, or the standby that the backend reads is behind: known links are redirected as before, and new ones get a response 503',
    mend: 'start the Postgres of the catalog, or correct BACKEND_URL; the backend retries every second. If it reads a standby, check the replication, that a worker runs (it writes the time into the catalog), and the clocks',
  },
  'snapshot-unwritable': {
    of: ['backend'],
    what: 'the snapshot of the links cannot be written; without it the backend cannot start while Postgres is down',
    mend: 'free disk space in the STATE_DIR of the backend, or give the backend the right to write there',
  },
  'nats-unreachable': {
    of: ['agent', 'worker', 'status'],
    what: 'NATS does not answer: hits stay in the log until it does',
    mend: 'start NATS, or correct its URL in the settings; the hits are counted then, without further steps',
  },
  'ledger-silent': {
    of: ['agent'],
    what: 'no worker answers requests for the ledger: published batches stay unconfirmed',
    mend: 'check the workers and the Postgres of this shard, and that both have the same SHARDS as the agent',
  },
  'stream-full': {
    of: ['agent', 'status'],
    what: 'the stream is full or nearly full: hits stay in the log until there is room',
    mend: 'check that the workers commit; for a larger stream, raise max_bytes of the stream, and STREAM_MAX_MIB',
  },
  'publish-failing': {
    of: ['agent'],
    what: 'JetStream refuses batches: hits stay in the log until it accepts them',
    mend: 'read the reason in the log of the agent; if the stream does not exist, start a worker, which creates it',
  },
  'agent-behind': {
    of: ['agent'],
    what: 'hits have waited for more than a minute to be committed',
    mend: 'if the age falls, wait: the agent is catching up; if not, check the workers and the other problems that are reported',
  },
  'logs-unreadable': {
    of: ['agent'],
    what: 'the log directory cannot be read',
    mend: 'check that LOG_DIR exists, and that the agent has the right to read it and the files in it',
  },
  'log-foreign': {
    of: ['agent'],
    what: 'this file in the log directory is not a log: it is not read, and not deleted',
    mend: 'if it holds hits, unpack it in another directory and run `clickledger ship FILE`; then move it away. LOG_DIR must have nothing but access.log and its rotated logs, plain or compressed with gzip or zstd: change what puts other files there',
  },
  'log-damaged': {
    of: ['agent'],
    what: 'this compressed log is not complete: its hits are not counted unless they were before, and it is not deleted',
    mend: 'restore the file from a copy, or unpack what can be unpacked in another directory and run `clickledger ship FILE`; then move the damaged file away',
  },
  'log-newer': {
    of: ['agent'],
    what: 'this log has lines in a newer format: they and the lines after them wait, and are not counted yet',
    mend: 'update the log agent; it then continues with these lines',
  },
  'state-unwritable': {
    of: ['agent'],
    what: 'the state directory cannot be written: after a restart some work would be repeated',
    mend: 'free disk space in STATE_DIR, or give the agent the right to write there',
  },
  'disk-low': {
    of: ['agent'],
    what: 'the disk of the logs is nearly full: nginx cannot log on a full disk, and those hits are lost',
    mend: 'free disk space: delete files of other programs, or lower KEEP_LOGS_DAYS; never delete logs by hand',
  },
  'mirror-behind': {
    of: ['agent'],
    what: 'the copies of the logs in LOG_MIRROR lack bytes: if this host were lost with its disk, their hits would be lost',
    mend: 'check that LOG_MIRROR exists and is mounted, that it has free space, and that the agent has the right to write there; the agent tries again by itself',
  },
  'mirror-unshipped': {
    of: ['agent'],
    what: 'this copy in LOG_MIRROR has bytes that no log in LOG_DIR has, and that are not counted',
    mend: 'run `clickledger ship` on the copy; if another agent writes copies there, give each agent its own LOG_MIRROR',
  },
  'database-unreachable': {
    of: ['worker', 'status'],
    what: 'Postgres does not answer: batches wait in the stream',
    mend: 'start Postgres, or correct its URL and the credentials in the settings',
  },
  'catalog-unreachable': {
    of: ['desk', 'forwarder'],
    what: 'the catalog does not answer: the desk answers with status 503, and a forwarder delivers nothing',
    mend: 'start the Postgres of the catalog, or correct its URL in the settings; the part needs no restart',
  },
  'former-primary': {
    of: ['worker'],
    what: 'this database is a former primary that is still running: another database of the shard has taken its place, so nothing is committed here',
    mend: 'stop this Postgres, and make it a standby again (pg_rewind, or a new base backup). If it is the right one, stop the other, and run `clickledger shard accept NAME`',
  },
  'two-primaries': {
    of: ['worker', 'status'],
    what: 'more than one server of this database accepts writes: after a failover, a former primary is still running',
    mend: 'stop the former primary, and make it a standby again (pg_rewind, or a new base backup). Hits are counted in the new primary only',
  },
  'no-primary': {
    of: ['worker', 'status'],
    what: 'no server of this database accepts writes: batches wait in the stream',
    mend: 'start the primary, or promote the standby that is least behind',
  },
  'server-silent': {
    of: ['worker', 'status'],
    what: 'a server of this database does not answer: a further failure may leave none',
    mend: 'start it, or remove it from the URLs in the settings',
  },
  'standby-behind': {
    of: ['worker', 'status'],
    what: 'a standby is behind: a failover to it would lose commits, which the agents then send again from the logs',
    mend: 'check the replication (pg_stat_replication on the primary), and the disk and the network of the standby',
  },
  'commit-failing': {
    of: ['worker'],
    what: 'batches cannot be committed; the worker holds them and retries',
    mend: 'correct the set-up according to the reason; usually settings differ between parts, or `clickledger migrate` has not been run',
  },
  'pull-failing': {
    of: ['worker'],
    what: 'batches cannot be pulled from the stream',
    mend: 'read the reason in the log of the worker; it may lack a right in NATS',
  },
  'worker-behind': {
    of: ['worker'],
    what: 'batches have waited for more than a minute to be committed',
    mend: 'if the age falls, wait: the worker is catching up; if not, check the Postgres of this shard',
  },
  'judge-behind': {
    of: ['worker'],
    what: 'nothing has been judged for five minutes: all counts are right, but bursts and echoes of machines are not found yet',
    mend: 'read the reason in the log of the worker; `clickledger reclassify` and moving a shard make the judge wait',
  },
  'upstream-unreachable': {
    of: ['relay'],
    what: 'the mail server behind the relay does not answer: senders get 451 and try again',
    mend: 'start the mail server, or correct RELAY_UPSTREAM',
  },
  untrackable: {
    of: ['relay'],
    what: 'messages cannot be tracked now: senders get 451 and try again, or messages pass without tracking (RELAY_UNTRACKABLE)',
    mend: 'start the Postgres of the catalog and of the shards; if bytes of logs are missing, wait until they are counted, or see `clickledger status`',
  },
  'shard-unreadable': {
    of: ['forwarder'],
    what: 'the events of a shard cannot be read: they are delivered later',
    mend: 'start the Postgres of this shard, or correct SHARDS and FORWARDER_URL; the forwarder needs no restart',
  },
  'delivery-failing': {
    of: ['forwarder'],
    what: 'a receiver refuses all deliveries or does not answer: its events wait, and after three days the subscription is paused',
    mend: 'correct the receiver according to the reason; the forwarder tries again by itself. `clickledger subscription test NAME` tries at once',
  },
  'delivery-behind': {
    of: ['forwarder'],
    what: 'events have waited for more than ten minutes to be delivered',
    mend: 'if the age falls, wait: the forwarder is catching up; if not, the receiver is too slow: make it answer faster, or give the subscription a larger --batch',
  },
  'subscription-paused': {
    of: ['forwarder'],
    what: 'the subscription is paused: its events wait',
    mend: '`clickledger subscription status` shows the reason; `clickledger subscription resume NAME` continues where it stopped',
  },
  'part-silent': {
    of: ['status'],
    what: 'the part does not answer at its URL in PARTS',
    mend: 'start it with the ADMIN_HOST and ADMIN_PORT that PARTS has, or correct PARTS',
  },
  'stream-missing': { of: ['status'], what: 'the stream does not exist', mend: 'start a worker, which creates it' },
  'stream-leaderless': {
    of: ['status'],
    what: 'more than half of the NATS servers do not work together, so the stream has no leader: hits stay in the log until it has one',
    mend: 'start the NATS servers that are down. If all run, restart those that were not started last, one after the other; if that does not help, stop all of them, delete their stores, and start them: the agents publish again what was lost',
  },
  'replica-offline': {
    of: ['status'],
    what: 'this NATS server is down or cut off: the others do its work, but another loss would stop the counting',
    mend: 'start the server; it gets what it lacks from the others, also with an empty store',
  },
  'replica-behind': {
    of: ['status'],
    what: 'this NATS server does not have all that the stream holds yet',
    mend: 'wait, if the number of messages that it lacks falls; if not, check its disk and its network, and restart it',
  },
  'replicas-few': {
    of: ['status'],
    what: 'the stream is stored on fewer servers than STREAM_REPLICAS',
    mend: 'raise its replicas, as docs/operators.md#nats-as-a-cluster describes, or set STREAM_REPLICAS to what the stream has',
  },
  'consumer-missing': {
    of: ['status'],
    what: 'no worker has pulled batches of this shard yet',
    mend: 'start a worker that serves the shard (WORKER_SHARDS)',
  },
  'dead-letters': {
    of: ['status'],
    what: 'lines of the log could not be read within the last day',
    mend: '`clickledger audit --logs <directory>` shows them',
  },
} as const satisfies Record<string, Kind>;

export type ProblemCode = keyof typeof KINDS;

/** One problem. `about` names the shard, part or other thing that has the problem, if there are several of them. Otherwise it is null. */
export interface Problem {
  code: ProblemCode;
  about: string | null;
  what: string;
  mend: string;
}

/** The state that a part reports: whether it is ready to work, and the problems that it has while it works. */
export interface Health {
  ready: boolean;
  degraded: Problem[];
}

/** Returns a problem with its sentences. `detail` is added in parentheses, e.g. the message of an error. */
export function problem(code: ProblemCode, about: string | null = null, detail?: string): Problem {
  const { what, mend } = KINDS[code];
  return { code, about, what: detail === undefined ? what : `${what} (${detail})`, mend };
}

/** The codes that a part of this kind may report. */
export function codesOf(part: PartKind): ProblemCode[] {
  return (Object.keys(KINDS) as ProblemCode[]).filter((code) => (KINDS[code].of as readonly string[]).includes(part));
}

/** A problem as one line of text for people to read: `about: what`. */
export function sentence({ about, what }: Problem): string {
  return about === null ? what : `${about}: ${what}`;
}
