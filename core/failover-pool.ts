import { connect as connectSocket } from 'node:net';
import pg from 'pg';
import { bareHost } from './bare-host.ts';
import { type DatabaseUrl, type SessionAttrs, singleHostUrls } from './database-url.ts';
import { ClickledgerError, codeOf } from './errors.ts';
import { withTimeout } from './time.ts';

// A pool of connections to the right one of several database servers, as libpq chooses it with `target_session_attrs`. New connections go
// to the server that was right last. If it does not answer any more, or is not the wanted server, the next host in the URL is tried.

/** The SQLSTATE with which a shard refuses work because it is on a former primary. See sql/shard/0017-epoch.sql. */
export const FORMER_PRIMARY = 'CL001';

/** A host that does not answer must not delay the attempt at the next one for long. The limit applies to connecting, and to the first query. */
const CONNECT_TIMEOUT_MS = 2_000;
/** A server that was left because it is a former primary is not tried again for this time, unless no other host is left. */
const LEFT_MS = 10_000;
/** A connection on which nothing arrived for this long, while it is in use, is checked every STALL_CHECK_MS. */
const STALLED_MS = 5_000;
const STALL_CHECK_MS = 2_000;
const PROBE_TIMEOUT_MS = 2_000;
const LOST_HOST = ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'];
/** So many probes in a row must fail until the connections to a host are closed. */
const FAILED_PROBES = 2;
const AUTHENTICATION_CLASS = '28';

const READ_SESSION = `SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') = 'on' AS "readOnly"`;

export type ClientClass = new (config?: pg.ClientConfig) => pg.Client;

/** The clients of this pool know which host they are connected to. */
interface HostClient extends pg.Client {
  hostIndex?: number;
}

/** Chooses the host of the next connection. */
class Hosts {
  readonly urls: readonly string[];
  readonly wanted: SessionAttrs;
  current = 0;
  /** Counts attempts that failed because of the host. */
  failures = 0;
  readonly #leftUntilMs = new Map<number, number>();
  /** The attempts in succession that failed. After a round over all hosts, `prefer-standby` takes any of them. */
  #failedInRow = 0;

  constructor(target: DatabaseUrl) {
    this.urls = singleHostUrls(target);
    this.wanted = target.sessionAttrs;
  }

  isLeft(index: number): boolean {
    return (this.#leftUntilMs.get(index) ?? 0) > performance.now();
  }

  /** Goes to the next host if `index` is still the current one. */
  fail(index: number): void {
    this.failures++;
    this.#failedInRow++;
    if (index !== this.current) return;
    for (let step = 1; step <= this.urls.length; step++) {
      this.current = (index + step) % this.urls.length;
      if (!this.isLeft(this.current)) break;
    }
  }

  leave(index: number): void {
    this.#leftUntilMs.set(index, performance.now() + LEFT_MS);
    this.fail(index);
  }

  /** Throws if the server of this client is not the wanted one. */
  async assertWanted(client: pg.ClientBase): Promise<void> {
    if (this.wanted === 'any') return;
    const { rows } = await withTimeout(client.query<{ standby: boolean; readOnly: boolean }>(READ_SESSION), CONNECT_TIMEOUT_MS);
    const { standby, readOnly } = rows[0] as { standby: boolean; readOnly: boolean };
    const suits = {
      any: true,
      'read-write': !standby && !readOnly,
      'read-only': standby || readOnly,
      primary: !standby,
      standby,
      'prefer-standby': standby || this.#failedInRow >= this.urls.length,
    }[this.wanted];
    if (!suits)
      throw new ClickledgerError(
        'unavailable',
        `no database server in the URL is ${this.wanted}; the last one is a ${standby ? 'standby' : 'primary'}`,
      );
    this.#failedInRow = 0;
  }
}

/** A pool for a URL with several hosts, or with `target_session_attrs`. `clientClass` is the class of its connections. */
export class FailoverPool extends pg.Pool {
  readonly #hosts: Hosts;
  readonly #names: readonly string[];
  readonly #inUse = new Map<HostClient, { bytesRead: number; sinceMs: number }>();
  readonly #failedProbes = new Map<number, number>();
  readonly #stallTimer: NodeJS.Timeout;

  constructor(config: pg.PoolConfig, target: DatabaseUrl, clientClass: ClientClass) {
    const hosts = new Hosts(target);
    const onConnect = (client: pg.ClientBase): Promise<void> =>
      hosts.assertWanted(client).catch((error: unknown) => {
        hosts.fail((client as HostClient).hostIndex ?? 0);
        throw error;
      });
    super({ ...config, Client: clientOf(hosts, clientClass), onConnect } as pg.PoolConfig);
    this.#hosts = hosts;
    this.#names = target.hosts;
    this.on('acquire', (client) => this.#inUse.set(client, { bytesRead: -1, sinceMs: performance.now() }));
    this.on('release', (error, client) => {
      this.#inUse.delete(client);
      if (codeOf(error) === FORMER_PRIMARY) hosts.leave((client as HostClient).hostIndex ?? 0);
    });
    this.on('remove', (client) => this.#inUse.delete(client));
    this.#stallTimer = setInterval(() => void this.#checkStalled(), STALL_CHECK_MS);
    this.#stallTimer.unref();
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(
    callback: (error: Error | undefined, client: pg.PoolClient | undefined, release: (release?: unknown) => void) => void,
  ): void;
  override connect(
    callback?: (error: Error | undefined, client: pg.PoolClient | undefined, release: (release?: unknown) => void) => void,
  ): Promise<pg.PoolClient> | void {
    const connected = this.#connectToAny();
    if (callback === undefined) return connected;
    void (async () => {
      let client: pg.PoolClient | undefined;
      let failure: unknown;
      try {
        client = await connected;
      } catch (error) {
        failure = error;
      }
      callback(failure as Error | undefined, client, (error) => client?.release(error as Error | undefined));
    })();
  }

  /**
   * Uses no connection to this host, named as in the URL, for the next seconds, unless no other host is left. A connection that is in use
   * stays until it is released.
   */
  leave(host: string): void {
    const index = this.#names.indexOf(host);
    if (index >= 0) this.#hosts.leave(index);
  }

  override async end(): Promise<void> {
    clearInterval(this.#stallTimer);
    await super.end();
  }

  /** Tries each host at most twice, because another caller may have moved the current host in the meantime. */
  async #connectToAny(): Promise<pg.PoolClient> {
    let refusal: unknown;
    for (let attempts = 2 * this.#hosts.urls.length; ; attempts--) {
      const { failures } = this.#hosts;
      try {
        const client = await super.connect();
        if (!this.#hosts.isLeft((client as HostClient).hostIndex ?? 0) || attempts <= 1) return client;
        // An idle connection to a server that was left.
        client.release(true);
      } catch (error) {
        if (isRefusal(error)) refusal ??= error;
        const isOfHost = this.#hosts.failures > failures && codeOf(error)?.startsWith(AUTHENTICATION_CLASS) !== true;
        if (!isOfHost || attempts <= 1) throw refusal ?? error;
      }
    }
  }

  /**
   * Closes connections to a host that has disappeared from the network. The kernel would wait for about 15 minutes until it gives up bytes
   * that were not acknowledged. A statement that takes long is not affected: its host still accepts connections.
   */
  async #checkStalled(): Promise<void> {
    const nowMs = performance.now();
    const stalled = new Map<number, HostClient[]>();
    for (const [client, seen] of this.#inUse) {
      const bytesRead = streamOf(client)?.bytesRead ?? 0;
      if (bytesRead !== seen.bytesRead) this.#inUse.set(client, { bytesRead, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= STALLED_MS) {
        const index = client.hostIndex ?? 0;
        stalled.set(index, [...(stalled.get(index) ?? []), client]);
      }
    }
    for (const index of this.#failedProbes.keys()) if (!stalled.has(index)) this.#failedProbes.delete(index);
    await Promise.all([...stalled].map(([index, clients]) => this.#probe(index, clients)));
  }

  async #probe(index: number, clients: readonly HostClient[]): Promise<void> {
    const answers = await acceptsConnections(this.#hosts.urls[index] as string);
    const failed = answers ? 0 : (this.#failedProbes.get(index) ?? 0) + 1;
    this.#failedProbes.set(index, failed);
    if (failed < FAILED_PROBES) return;
    this.#hosts.fail(index);
    for (const client of clients)
      if (this.#inUse.has(client))
        streamOf(client)?.destroy(Object.assign(new Error('the database server does not answer'), { code: 'ETIMEDOUT' }));
  }
}

/**
 * Returns whether a server gave a reason, such as a missing right or too many connections. Such an error says more than that another host does
 * not answer or is a standby.
 */
const isRefusal = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '') && !codeOf(error)?.startsWith('57P');

/**
 * Connects to the wanted server of a URL once. `makeClient` creates the client for a URL with one host. Throws the reason of the first server
 * that gave one, or else the last error.
 */
export async function connectToWanted(target: DatabaseUrl, makeClient: (url: string) => pg.Client): Promise<pg.Client> {
  const hosts = new Hosts(target);
  let refusal: unknown;
  for (let attempts = 2 * hosts.urls.length; ; attempts--) {
    const index = hosts.current;
    const client = makeClient(hosts.urls[index] as string);
    try {
      await client.connect();
      await hosts.assertWanted(client);
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      hosts.fail(index);
      if (isRefusal(error)) refusal ??= error;
      const mayHelp = hosts.urls.length > 1 && codeOf(error)?.startsWith(AUTHENTICATION_CLASS) !== true;
      if (!mayHelp || attempts <= 1) throw refusal ?? error;
    }
  }
}

/** The class of the connections of a pool. A connection goes to the host that is current when it is created. */
function clientOf(hosts: Hosts, clientClass: ClientClass): ClientClass {
  return class extends clientClass implements HostClient {
    readonly hostIndex: number;

    constructor(config: pg.ClientConfig = {}) {
      super({ ...config, connectionString: hosts.urls[hosts.current] as string, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
      this.hostIndex = hosts.current;
    }

    override connect(): Promise<this>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<this> | void {
      if (callback === undefined) return super.connect() as Promise<this>;
      super.connect((error: Error) => {
        if (error) hosts.fail(this.hostIndex);
        callback(error);
      });
    }
  };
}

function streamOf(client: pg.ClientBase): { bytesRead: number; destroy(error: Error): void } | undefined {
  return (client as unknown as { connection?: { stream?: { bytesRead: number; destroy(error: Error): void } } }).connection?.stream;
}

/** Returns whether the server of this URL accepts a TCP connection. */
function acceptsConnections(url: string): Promise<boolean> {
  const target = new URL(url);
  return new Promise((resolve) => {
    const socket = connectSocket({ host: bareHost(target), port: Number(target.port || 5432), timeout: PROBE_TIMEOUT_MS });
    const finish = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    // Other errors, such as a refusal or a failure of DNS, do not show that the host is lost. A host that refuses also ends its old connections.
    socket.once('error', (error: NodeJS.ErrnoException) => finish(!LOST_HOST.includes(error.code ?? '')));
  });
}
