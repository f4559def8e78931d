import { eventsSubject, LEDGER_API, ledgerSubject, SALT_BUCKET, SALTS_API, STREAM } from '../core/subjects.ts';

// The configuration of nats-server: where it listens, how much it keeps, and who may do what. The same text serves the servers that we
// start ourselves and, by `clickledger init`, those of an operator. It has only what nats-server 2.9 and newer ones know.
//
// Rights to subjects are not enough: who asks JetStream anything also names the subject of the answer, and JetStream publishes there with
// rights of its own. An agent that had its receipts sent to $JS.API.STREAM.PURGE.EVENTS would empty the stream. So agents and analysts have
// accounts of their own, which share no subjects with others but the services that they import; answers arrive in the account that asked.
//
//   agent ──events.*, ledger.*, how far the workers are──► ledger: EVENTS, the workers ◄──how far the workers are── analyst
//     └────a day's salt──► salts: the bucket

export const NATS_ROLES = ['agent', 'worker', 'analyst'] as const;
export type NatsRole = (typeof NATS_ROLES)[number];

/** The setting that has a role's URL. */
export const natsSetting = <R extends NatsRole>(role: R) => `${role.toUpperCase() as Uppercase<R>}_NATS_URL` as const;

const SHARD = '*';
const CONSUMER = `${STREAM}.*`;
/** A KV bucket is a stream of this name, with a subject for each key (ADR-8 in nats-io/nats-architecture-and-design). */
const SALTS = `KV_${SALT_BUCKET}`;
const SALT_KEY = `$KV.${SALT_BUCKET}.*`;
const API = '$JS.API';

const HOW_FAR = [`STREAM.INFO.${STREAM}`, `CONSUMER.INFO.${CONSUMER}`];

/** A subject of another account, and the name it has in one's own. Every account has a $JS.API already, which knows of no other account. */
interface Service {
  account: 'ledger' | 'salts';
  subject: string;
  to: string;
}
const ledger = (subject: string): Service => ({ account: 'ledger', subject, to: subject });
const ledgerApi = (request: string): Service => ({ account: 'ledger', subject: `${API}.${request}`, to: `${LEDGER_API}.${request}` });
const saltsApi = (request: string): Service => ({ account: 'salts', subject: `${API}.${request}`, to: `${SALTS_API}.${request}` });

const SERVICES: Readonly<Record<'agent' | 'analyst', readonly Service[]>> = {
  agent: [
    ledger(eventsSubject(SHARD)),
    ledger(ledgerSubject(SHARD)),
    ...HOW_FAR.map(ledgerApi),
    // In an account of its own: who may make a stream may make it a mirror of any other that is there.
    saltsApi(`STREAM.INFO.${SALTS}`),
    saltsApi(`STREAM.CREATE.${SALTS}`),
    saltsApi(`DIRECT.GET.${SALTS}.${SALT_KEY}`),
    { account: 'salts', subject: SALT_KEY, to: `${SALTS_API}.${SALT_KEY}` },
  ],
  analyst: HOW_FAR.map(ledgerApi),
};

/** What a worker may publish and subscribe to, in the ledger's account. */
const WORKER = {
  publish: [
    ...HOW_FAR.map((request) => `${API}.${request}`),
    `${API}.STREAM.CREATE.${STREAM}`,
    `${API}.CONSUMER.CREATE.${CONSUMER}.${eventsSubject(SHARD)}`,
    `${API}.CONSUMER.MSG.NEXT.${CONSUMER}`,
    `$JS.ACK.${STREAM}.>`,
    // Answers to other accounts.
    '_R_.>',
  ],
  subscribe: ['_INBOX.>', `${ledgerSubject(SHARD)} workers`],
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
  const user = (role: NatsRole, { publish, subscribe }: typeof WORKER): string =>
    `{ user: ${role}, password: ${quoted(passwords[role])}, permissions: { publish: ${list(publish.map(quoted))}, subscribe: ${list(subscribe.map(quoted))} } }`;
  const guest = (role: keyof typeof SERVICES): string => {
    const services = SERVICES[role];
    // The rights say the same again, so that whoever tries more is told, and nats-server's log says so.
    const self = user(role, { publish: services.map(({ to }) => to), subscribe: ['_INBOX.>'] });
    const imports = services.map(
      ({ account, subject, to }) => `{ service: { account: ${account}, subject: ${quoted(subject)} }, to: ${quoted(to)} }`,
    );
    return `{ users: [${self}], imports: ${list(imports)} }`;
  };
  const operator = operatorPassword === undefined ? '' : `, { user: operator, password: ${quoted(operatorPassword)} }`;
  return `host: ${quoted(host)}
port: ${port}
jetstream { store_dir: ${quoted(storeDir)}, max_memory_store: 64MB, max_file_store: ${maxStoreMib}MB }
${tls ? `tls { cert_file: ${quoted(tls.certificate)}, key_file: ${quoted(tls.key)} }\n` : ''}accounts {
  ledger: { jetstream: enabled, users: [${user('worker', WORKER)}${operator}], exports: ${exportsOf('ledger')} }
  salts: { jetstream: enabled, exports: ${exportsOf('salts')} }
  agent: ${guest('agent')}
  analyst: ${guest('analyst')}
}
`;
}

function exportsOf(exporter: Service['account']): string {
  const subjects = Object.values(SERVICES)
    .flat()
    .filter(({ account }) => account === exporter)
    .map(({ subject }) => subject);
  return list([...new Set(subjects)].map((subject) => `{ service: ${quoted(subject)} }`));
}

/** An array, an item a line. */
function list(items: readonly string[]): string {
  return `[\n${items.map((item) => `    ${item}\n`).join('')}  ]`;
}

/** A string of nats-server's configuration language; unquoted, a `$` would begin a variable. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
