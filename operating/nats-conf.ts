import { eventsSubject, LEDGER_API, ledgerSubject, SALT_BUCKET, SALTS_API, STREAM } from '../core/subjects.ts';

// Generates the configuration of nats-server: its address, its storage limit, and the permissions of each user. `clickledger up` and the
// tests start servers with this text. `clickledger init` writes it to a file for the operator's own server. All options exist in
// nats-server 2.9.
//
// Permissions on subjects are not enough. A client that sends a request also chooses the reply subject, and JetStream publishes the reply
// with its own permissions. An agent could publish with the reply subject $JS.API.STREAM.PURGE.EVENTS, and the reply would purge the
// stream. Therefore agents and analysts have separate accounts. An account can use only the services that it imports, and a reply arrives
// in the account that sent the request.
//
//   agent ──events.*, ledger.*, progress of the workers──► ledger: stream EVENTS, workers ◄──progress of the workers── analyst
//     └────salt of the day──► salts: the bucket

export const NATS_ROLES = ['agent', 'worker', 'analyst'] as const;
export type NatsRole = (typeof NATS_ROLES)[number];

/** The name of the setting with the NATS URL of a role. */
export const natsSetting = <R extends NatsRole>(role: R) => `${role.toUpperCase() as Uppercase<R>}_NATS_URL` as const;

const SHARD = '*';
const CONSUMER = `${STREAM}.*`;
/** The stream behind the KV bucket. A bucket is a stream with one subject per key (ADR-8 in nats-io/nats-architecture-and-design). */
const SALTS = `KV_${SALT_BUCKET}`;
const SALT_KEY = `$KV.${SALT_BUCKET}.*`;
const API = '$JS.API';

/** The requests that return the progress of the workers. */
const PROGRESS_REQUESTS = [`STREAM.INFO.${STREAM}`, `CONSUMER.INFO.${CONSUMER}`];

/**
 * A subject of another account. It is imported under the name `to`. The JetStream API is imported under another prefix, because every
 * account has its own $JS.API, which reaches only the streams of the same account.
 */
interface Service {
  account: 'ledger' | 'salts';
  subject: string;
  to: string;
}
const ledgerService = (subject: string): Service => ({ account: 'ledger', subject, to: subject });
const ledgerApi = (request: string): Service => ({ account: 'ledger', subject: `${API}.${request}`, to: `${LEDGER_API}.${request}` });
const saltsApi = (request: string): Service => ({ account: 'salts', subject: `${API}.${request}`, to: `${SALTS_API}.${request}` });

const SERVICES: Readonly<Record<'agent' | 'analyst', readonly Service[]>> = {
  agent: [
    ledgerService(eventsSubject(SHARD)),
    ledgerService(ledgerSubject(SHARD)),
    ...PROGRESS_REQUESTS.map(ledgerApi),
    // The salts have a separate account, because a client that may create a stream can make it a mirror of any stream in the same account.
    saltsApi(`STREAM.INFO.${SALTS}`),
    saltsApi(`STREAM.CREATE.${SALTS}`),
    saltsApi(`DIRECT.GET.${SALTS}.${SALT_KEY}`),
    { account: 'salts', subject: SALT_KEY, to: `${SALTS_API}.${SALT_KEY}` },
  ],
  analyst: PROGRESS_REQUESTS.map(ledgerApi),
};

/** The subjects to which a worker may publish and subscribe, in the account `ledger`. */
const WORKER = {
  publish: [
    ...PROGRESS_REQUESTS.map((request) => `${API}.${request}`),
    `${API}.STREAM.CREATE.${STREAM}`,
    // With these two rights, a worker finds out that a stream stores nothing, and deletes it; see event-worker/keep-stream.ts. With a stolen
    // password, the first adds events and the second delays them, as the rights of a worker in Postgres and `$JS.ACK` do, too.
    eventsSubject(SHARD),
    `${API}.STREAM.DELETE.${STREAM}`,
    `${API}.CONSUMER.CREATE.${CONSUMER}.${eventsSubject(SHARD)}`,
    `${API}.CONSUMER.MSG.NEXT.${CONSUMER}`,
    `$JS.ACK.${STREAM}.>`,
    // The subject of replies to requests from other accounts.
    '_R_.>',
  ],
  subscribe: ['_INBOX.>', `${ledgerSubject(SHARD)} workers`],
};

export interface NatsConf {
  host: string;
  port: number;
  /** The directory in which JetStream stores its streams. */
  storeDir: string;
  /** The limit of all streams together, in MiB. Keep it well below the size of the disk, because a full disk blocks the server. */
  maxStoreMib?: number;
  passwords: Readonly<Record<NatsRole, string>>;
  /** The password of the user `operator`, who has all permissions. If undefined, there is no such user. */
  operatorPassword?: string | undefined;
  /** Paths of the certificate and its key. If given, clients must use TLS. */
  tls?: { certificate: string; key: string } | undefined;
  /** If given, the server is a member of a cluster. */
  cluster?: NatsCluster | undefined;
}

/** A server of a cluster. Servers connect to each other by routes, on an address of their own. */
export interface NatsCluster {
  /** The name of this server. Each server of the cluster has another one. It belongs to the stored data, so it must not change. */
  name: string;
  /** The addresses of the routes of all servers, as host:port. */
  routes: ReadonlyMap<string, string>;
  /** A server with this password is part of the cluster, and so can read and change everything. */
  password: string;
  /**
   * Paths of the certificate of the routes, of its key, and of the authority of all these certificates; an empty authority means those that
   * the system trusts. If given, routes use TLS, and each server checks the certificate of the other one. So the certificates must be valid for
   * clients, too.
   */
  tls?: { certificate: string; key: string; ca: string } | undefined;
}

/** Servers with this name share a cluster. A server of another cluster cannot join by mistake. */
const CLUSTER = 'clickledger';
const ROUTE_USER = 'route';

/** The text of nats.conf. It contains the passwords. */
export function natsConf(options: NatsConf): string {
  const { host, port, storeDir, maxStoreMib = 2048, passwords, operatorPassword, tls, cluster } = options;
  const user = (role: NatsRole, { publish, subscribe }: typeof WORKER): string =>
    `{ user: ${role}, password: ${quoted(passwords[role])}, permissions: { publish: ${list(publish.map(quoted))}, subscribe: ${list(subscribe.map(quoted))} } }`;
  const importingAccount = (role: keyof typeof SERVICES): string => {
    const services = SERVICES[role];
    // These permissions repeat the imports. With them, the server answers a request to any other subject with an error and logs the
    // request.
    const onlyUser = user(role, { publish: services.map(({ to }) => to), subscribe: ['_INBOX.>'] });
    const imports = services.map(
      ({ account, subject, to }) => `{ service: { account: ${account}, subject: ${quoted(subject)} }, to: ${quoted(to)} }`,
    );
    return `{ users: [${onlyUser}], imports: ${list(imports)} }`;
  };
  const operator = operatorPassword === undefined ? '' : `, { user: operator, password: ${quoted(operatorPassword)} }`;
  return `host: ${quoted(host)}
port: ${port}
${cluster ? clusterConf(cluster) : ''}jetstream { store_dir: ${quoted(storeDir)}, max_memory_store: 64MB, max_file_store: ${maxStoreMib}MB }
${tls ? `tls { cert_file: ${quoted(tls.certificate)}, key_file: ${quoted(tls.key)} }\n` : ''}accounts {
  ledger: { jetstream: enabled, users: [${user('worker', WORKER)}${operator}], exports: ${exportsOf('ledger')} }
  salts: { jetstream: enabled, exports: ${exportsOf('salts')} }
  agent: ${importingAccount('agent')}
  analyst: ${importingAccount('analyst')}
}
`;
}

// `no_advertise`: clients use only the addresses that they have in their settings. The servers would tell them the addresses of their own network
// interfaces, which clients may not reach, and which are not in a certificate.
function clusterConf({ name, routes, password, tls }: NatsCluster): string {
  const urls = Array.from(routes.values(), (address) => quoted(`nats://${ROUTE_USER}:${encodeURIComponent(password)}@${address}`));
  const tlsConf = tls
    ? `  tls { cert_file: ${quoted(tls.certificate)}, key_file: ${quoted(tls.key)}${tls.ca === '' ? '' : `, ca_file: ${quoted(tls.ca)}`} }\n`
    : '';
  return `server_name: ${quoted(name)}
cluster {
  name: ${CLUSTER}
  listen: ${quoted(routes.get(name) ?? '')}
  no_advertise: true
  authorization { user: ${ROUTE_USER}, password: ${quoted(password)} }
${tlsConf}  routes: ${list(urls)}
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

/** Formats an array in the configuration language of nats-server, with one item per line. */
function list(items: readonly string[]): string {
  return `[\n${items.map((item) => `    ${item}\n`).join('')}  ]`;
}

/**
 * Formats a string in the configuration language of nats-server. Without quotes, a `$` would begin a variable. JSON.stringify cannot be
 * used, because nats-server refuses the escapes \b, \f and \u.
 */
function quoted(text: string): string {
  const escaped = text
    .replace(/["\\]/g, String.raw`\$&`)
    .replace(/[\0-\x1f\x7f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped}"`;
}
