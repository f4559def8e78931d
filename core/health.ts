// What can be wrong with a part while it goes on, and what a person does about it. The code is for programs and never changes its
// meaning; the sentences are for people. `clickledger status` finds some of them by itself, by looking at the parts from outside.

export const PART_KINDS = ['backend', 'agent', 'worker'] as const;
export type PartKind = (typeof PART_KINDS)[number];

interface Kind {
  /** Who may say so. */
  of: readonly (PartKind | 'status')[];
  what: string;
  mend: string;
}

const KINDS = {
  starting: {
    of: PART_KINDS,
    what: 'it has not started yet, or is stopping',
    mend: 'wait a moment; if it stays so, its log says what it waits for',
  },
  'links-stale': {
    of: ['backend'],
    what: 'the catalog does not answer: links are served as last known, new ones are answered with 503',
    mend: "start the catalog's Postgres, or put BACKEND_URL right; the backend looks again every second",
  },
  'snapshot-unwritable': {
    of: ['backend'],
    what: 'the snapshot of the links cannot be written, without which it cannot start while Postgres is down',
    mend: "make room in the backend's STATE_DIR, or give it the right to write there",
  },
  'nats-unreachable': {
    of: ['agent', 'worker', 'status'],
    what: 'NATS does not answer: hits stay in the log until it does',
    mend: 'start NATS, or put its address in the settings right; everything is caught up by itself',
  },
  'ledger-silent': {
    of: ['agent'],
    what: 'the ledger cannot be asked: what was published stays unconfirmed',
    mend: 'look at the workers and the Postgres of this shard, and whether both have the same SHARDS as the agent',
  },
  'stream-full': {
    of: ['agent', 'status'],
    what: 'the stream is full, or nearly: hits stay in the log until it is emptied',
    mend: 'see that the workers commit; for a larger buffer raise STREAM_MAX_MIB and max_bytes of the stream',
  },
  'publish-failing': {
    of: ['agent'],
    what: 'JetStream does not take batches: hits stay in the log until it does',
    mend: "the agent's log has the reason; a worker makes the stream when it starts",
  },
  'agent-behind': {
    of: ['agent'],
    what: 'hits have been waiting for more than a minute to be committed',
    mend: 'if the age falls, wait: it is catching up; if not, look at the workers and at what else is degraded',
  },
  'logs-unreadable': {
    of: ['agent'],
    what: 'the log directory cannot be read',
    mend: 'see that LOG_DIR exists and the agent may read it and the files in it',
  },
  'state-unwritable': {
    of: ['agent'],
    what: 'the state directory cannot be written: a restart would repeat some work',
    mend: 'make room in STATE_DIR, or give the agent the right to write there',
  },
  'disk-low': {
    of: ['agent'],
    what: 'the disk that has the logs is nearly full: nginx cannot log hits on a full one, and they are lost',
    mend: 'make room: delete what is not ours, or lower KEEP_LOGS_DAYS; never delete logs by hand',
  },
  'database-unreachable': {
    of: ['worker', 'status'],
    what: 'Postgres does not answer: batches wait in the stream',
    mend: 'start it, or put its address and the credentials in the settings right',
  },
  'commit-failing': {
    of: ['worker'],
    what: 'batches cannot be committed and are held',
    mend: 'the reason says what is wrong with the set-up; mostly settings that differ, or a `clickledger migrate` that is due',
  },
  'pull-failing': {
    of: ['worker'],
    what: 'batches cannot be pulled from the stream',
    mend: "the worker's log has the reason; it may lack a right on NATS",
  },
  'worker-behind': {
    of: ['worker'],
    what: 'batches have been waiting for more than a minute to be committed',
    mend: 'if the age falls, wait: it is catching up; if not, look at the Postgres of this shard',
  },
  'judge-behind': {
    of: ['worker'],
    what: 'nothing has been judged for five minutes: all counts are right, but bursts of machines are not found yet',
    mend: "the worker's log has the reason; `clickledger reclassify` and moving a shard keep the judge waiting",
  },
  'part-silent': {
    of: ['status'],
    what: 'does not answer where PARTS says',
    mend: 'start it with ADMIN_PORT and ADMIN_HOST as PARTS has them, or put PARTS right',
  },
  'stream-missing': { of: ['status'], what: 'the stream is not there', mend: 'start a worker: it makes the stream' },
  'consumer-missing': {
    of: ['status'],
    what: 'no worker has ever pulled for this shard',
    mend: 'start a worker that serves it (WORKER_SHARDS)',
  },
  'dead-letters': {
    of: ['status'],
    what: 'lines could not be read within the last day',
    mend: '`clickledger audit --logs <directory>` shows them',
  },
} as const satisfies Record<string, Kind>;

export type ProblemCode = keyof typeof KINDS;

/** One thing that is wrong. `about`: the shard, the part or whatever else it concerns, where there are several. */
export interface Problem {
  code: ProblemCode;
  about: string | null;
  what: string;
  mend: string;
}

/** What a part says of itself: ready to do its work or not, and what is wrong while it goes on. */
export interface Health {
  ready: boolean;
  degraded: Problem[];
}

/** A problem with its sentences; `detail` says more than they do, e.g. the message of an error. */
export function problem(code: ProblemCode, about: string | null = null, detail?: string): Problem {
  const { what, mend } = KINDS[code];
  return { code, about, what: detail === undefined ? what : `${what} (${detail})`, mend };
}

/** Everything a part of this kind may say. */
export function codesOf(part: PartKind): ProblemCode[] {
  return (Object.keys(KINDS) as ProblemCode[]).filter((code) => (KINDS[code].of as readonly string[]).includes(part));
}

/** One line a problem, for a person. */
export function sentence({ about, what }: Problem): string {
  return about === null ? what : `${about}: ${what}`;
}
