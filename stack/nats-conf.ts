import { inboxesOf } from '../core/nats-url.ts';
import { eventsSubject, ledgerSubject, SALT_BUCKET, STREAM } from '../core/subjects.ts';

// The configuration of nats-server: where it listens, how much it keeps, and what each user may do. The same text serves the servers that
// we start ourselves and, by `clickledger init`, those of an operator. It has only what nats-server 2.9 and newer ones know.

export const NATS_ROLES = ['agent', 'worker', 'analyst'] as const;
export type NatsRole = (typeof NATS_ROLES)[number];

interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const SHARD = '*';
const CONSUMER = `${STREAM}.*`;
/** A KV bucket is a stream of this name, with a subject for each key (ADR-8 in nats-io/nats-architecture-and-design). */
const SALTS = `KV_${SALT_BUCKET}`;
const SALT_KEY = `$KV.${SALT_BUCKET}.*`;

/** What each user needs. Whatever is not named here is refused. */
const RIGHTS: Readonly<Record<NatsRole, Rights>> = {
  agent: {
    publish: [
      eventsSubject(SHARD),
      ledgerSubject(SHARD),
      // How far the workers are.
      `$JS.API.STREAM.INFO.${STREAM}`,
      `$JS.API.CONSUMER.INFO.${CONSUMER}`,
      // Making the bucket of salts, reading a day's, writing a day's.
      `$JS.API.STREAM.INFO.${SALTS}`,
      `$JS.API.STREAM.CREATE.${SALTS}`,
      `$JS.API.DIRECT.GET.${SALTS}.${SALT_KEY}`,
      SALT_KEY,
    ],
    subscribe: [inboxesOf('agent')],
  },
  worker: {
    publish: [
      `$JS.API.STREAM.INFO.${STREAM}`,
      `$JS.API.STREAM.CREATE.${STREAM}`,
      `$JS.API.CONSUMER.INFO.${CONSUMER}`,
      `$JS.API.CONSUMER.CREATE.${CONSUMER}.${eventsSubject(SHARD)}`,
      `$JS.API.CONSUMER.MSG.NEXT.${CONSUMER}`,
      `$JS.ACK.${STREAM}.>`,
      // Not `allow_responses`: whoever asks chooses the subject of the answer, and no agent shall make a worker publish just anywhere.
      inboxesOf('agent'),
    ],
    subscribe: [inboxesOf('worker'), `${ledgerSubject(SHARD)} workers`],
  },
  analyst: {
    publish: [`$JS.API.STREAM.INFO.${STREAM}`, `$JS.API.CONSUMER.INFO.${CONSUMER}`],
    subscribe: [inboxesOf('analyst')],
  },
};

export interface NatsConf {
  host: string;
  port: number;
  /** Where JetStream keeps its streams. */
  storeDir: string;
  /** All streams together. Well under the disk: a full one wedges the server. */
  maxStoreMib?: number;
  passwords: Readonly<Record<NatsRole, string>>;
  /** Of a further user, `operator`, who may do anything; none where it is missing. */
  operatorPassword?: string | undefined;
  /** Paths; with them clients have to come by TLS. */
  tls?: { certificate: string; key: string } | undefined;
}

/** The text of nats.conf. It holds the passwords. */
export function natsConf(options: NatsConf): string {
  const { host, port, storeDir, maxStoreMib = 2048, passwords, operatorPassword, tls } = options;
  const users = NATS_ROLES.map((role) => {
    const { publish, subscribe } = RIGHTS[role];
    return `{ user: ${role}, password: ${quoted(passwords[role])}, permissions: {
      publish: [${list(publish)}]
      subscribe: [${list(subscribe)}]
    } }`;
  });
  if (operatorPassword !== undefined) users.push(`{ user: operator, password: ${quoted(operatorPassword)} }`);
  return `host: ${quoted(host)}
port: ${port}
jetstream { store_dir: ${quoted(storeDir)}, max_memory_store: 64MB, max_file_store: ${maxStoreMib}MB }
${tls ? `tls { cert_file: ${quoted(tls.certificate)}, key_file: ${quoted(tls.key)} }\n` : ''}authorization {
  users: [
    ${users.join('\n    ')}
  ]
}
`;
}

function list(subjects: readonly string[]): string {
  return subjects.map((subject) => `\n        ${quoted(subject)}`).join('');
}

/** A string of nats-server's configuration language; unquoted, a `$` would begin a variable. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
