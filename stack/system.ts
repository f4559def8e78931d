import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDatabaseUrl } from '../core/database-url.ts';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { parseNatsUrl } from '../core/nats-url.ts';
import { formatParts, parseParts } from '../core/parts.ts';
import { evenShards, parseShards } from '../core/shards.ts';
import { parseSlugKeys } from '../core/slug.ts';
import { migrate, ROLES } from '../sql/migrate.ts';
import { startNats } from './nats.ts';
import { NATS_ROLES, type NatsRole, natsSetting } from '../operating/nats-conf.ts';
import { startNginx } from './nginx.ts';
import { type PartName, startPart } from './part.ts';
import { freePort } from './ports.ts';
import { OWNER, startPostgres } from './postgres.ts';
import { type Running, stopLeftovers } from './process.ts';

// Runs all servers and parts of clickledger as local processes, with all files in one data directory:
//
//   <data>/env  postgres/  nats/  edge-1/logs/ …  state/<part>/  run/ (pid files, output, configuration)

export interface SystemOptions {
  dataDir: string;
  /**
   * The port of the first nginx. Default: the port of the previous run if it is free; otherwise `preferredPort` if it is free; otherwise
   * any free port.
   */
  port?: number;
  preferredPort?: number;
  /** The number of shards of a new data directory. Default: 1. An existing data directory keeps its shards. */
  shards?: number;
  backends?: number;
  /** The number of nginx processes. Each has a log agent. */
  edges?: number;
  workers?: number;
  /** Default: none. */
  forwarders?: number;
  /** See PostgresOptions. */
  durable?: boolean;
  /** The path of another program `postgres`; see PostgresOptions. */
  postgresProgram?: string;
  /** If set, NATS gets a user `operator` with all permissions and this password. Test harnesses use this user, e.g. to delete streams. */
  natsOperatorPassword?: string;
  /**
   * Returns settings for a single part, which override all other settings. It is called at every start of a part. Test harnesses use it to
   * put proxies between members.
   */
  envOf?: (member: string, env: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  /** Settings for all parts and nginx. They override the generated settings. */
  extra?: Readonly<Record<string, string>>;
  /** Gets a message for the user before each step. */
  onProgress?: (text: string) => void;
}

/** A server or a part of the system. It can be stopped and started again. */
export interface Member {
  readonly name: string;
  /** The current process. Undefined before the first start and after the stop of the system. */
  running: Running | undefined;
  start(): Promise<void>;
}

export interface System {
  readonly env: Readonly<Record<string, string>>;
  readonly baseUrl: string;
  /** All members in the order in which they are started. */
  readonly members: readonly Member[];
  readonly ports: { edges: readonly number[] };
  readonly logDirs: readonly string[];
  /** The member with this name. Throws if it does not exist. */
  member(name: string): Member;
  /** Stops all members, in the reverse order of their start. */
  stop(): Promise<void>;
}

/**
 * Starts all members: Postgres and its databases, NATS, workers, backends, and each nginx with its agent. Creates the data directory if it
 * does not exist. If a member cannot be started, stops the other members and throws.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const {
    dataDir,
    backends = 2,
    edges = 1,
    workers = 1,
    forwarders = 0,
    durable = true,
    extra = {},
    envOf = () => ({}),
    onProgress = () => {},
  } = options;
  const runDir = join(dataDir, 'run');
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await stopLeftovers(runDir);

  const previous = await readEnvFile(dataDir);
  const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
  const names = {
    workers: numbered('event-worker', workers),
    backends: numbered('backend', backends),
    agents: numbered('log-agent', edges),
    forwarders: numbered('forwarder', forwarders),
  };
  const ports = await choosePorts(previous, {
    port: options.port,
    preferredPort: options.preferredPort,
    backends,
    edges,
    parts: Object.values(names).flat(),
  });
  const logDirs = ports.edges.map((_, i) => join(dataDir, `edge-${i + 1}`, 'logs'));
  const env = { ...generateSettings(previous, ports, options.shards ?? 1), LOG_DIR: logDirs[0] as string, ...extra };
  const ownerPassword = decodeURIComponent(parseDatabaseUrl(env.CATALOG_URL).url.password);

  const createMember = (name: string, startProcess: () => Promise<Running>): Member => {
    const member: Member = {
      name,
      running: undefined,
      async start() {
        member.running = await startProcess();
      },
    };
    return member;
  };
  const createPart = (partName: PartName, name: string, settings: Record<string, string>) => {
    const own = { STATE_DIR: join(dataDir, 'state', name), ADMIN_PORT: String(ports.admin.get(name)), ...settings };
    return createMember(name, () => startPart({ part: partName, name, runDir, env: { ...env, ...own, ...envOf(name, env) } }));
  };

  const postgres = createMember('postgres', () =>
    startPostgres({
      dataDir: join(dataDir, 'postgres'),
      runDir,
      port: ports.postgres,
      ownerPassword,
      durable,
      ...(options.postgresProgram === undefined ? {} : { program: options.postgresProgram }),
    }),
  );
  const passwords = Object.fromEntries(NATS_ROLES.map((role) => [role, parseNatsUrl(env[natsSetting(role)]).password] as const)) as Record<
    NatsRole,
    string
  >;
  const nats = createMember('nats', () =>
    startNats({ storeDir: join(dataDir, 'nats'), runDir, port: ports.nats, passwords, operatorPassword: options.natsOperatorPassword }),
  );
  const servers = [postgres, nats];
  const parts = [
    ...names.workers.map((name) => createPart('event-worker', name, {})),
    ...names.backends.map((name, i) => createPart('backend', name, { PORT: String(ports.backends[i]) })),
    ...ports.edges.flatMap((port, i) => {
      const logDir = logDirs[i] as string;
      return [
        createMember(`nginx-${i + 1}`, () =>
          startNginx({ logDir, runDir, port, backendPorts: ports.backends, name: `nginx-${i + 1}`, env: extra }),
        ),
        createPart('log-agent', names.agents[i] as string, { LOG_DIR: logDir }),
      ];
    }),
    ...names.forwarders.map((name) => createPart('forwarder', name, {})),
  ];
  const members = [...servers, ...parts];
  const system: System = {
    env,
    baseUrl: env.BASE_URL,
    members,
    ports: { edges: ports.edges },
    logDirs,
    member(name) {
      const found = members.find((candidate) => candidate.name === name);
      if (!found) throw new Error(`member ${name} does not exist`);
      return found;
    },
    async stop() {
      for (const each of members.toReversed()) {
        await each.running?.stop();
        each.running = undefined;
      }
    },
  };

  try {
    onProgress('starting Postgres');
    await postgres.start();
    // The mail server and the sender of reports are kept. The parts do not get them, because only commands read them.
    const kept = ['SMTP_URL', 'REPORT_FROM'].flatMap((name) => (previous[name] === undefined ? [] : [[name, previous[name]] as const]));
    await writeEnvFile(dataDir, { ...env, ...Object.fromEntries(kept) });
    onProgress('migrating the databases');
    await migrate(migrationSettings(env));
    for (const each of members.slice(1)) {
      onProgress(`starting ${each.name}`);
      await each.start();
    }
  } catch (error) {
    await system.stop();
    throw error;
  }
  return system;
}

interface Ports {
  edges: number[];
  backends: number[];
  postgres: number;
  nats: number;
  /** The admin port of each part, by its name. */
  admin: ReadonlyMap<string, number>;
}

/** Chooses the ports. Ports of the previous run are used again if they are free, so that URLs that were sent remain valid. */
async function choosePorts(
  previous: Record<string, string>,
  wanted: { port: number | undefined; preferredPort: number | undefined; backends: number; edges: number; parts: readonly string[] },
): Promise<Ports> {
  const portIn = (url: string | undefined): number => (url === undefined ? 0 : Number(new URL(url).port));
  const first = wanted.port ?? (await freePort(portIn(previous['BASE_URL']), wanted.preferredPort ?? 0));
  const chosen = new Set<number>([first]);
  const nextPort = async (...preferred: number[]): Promise<number> => {
    for (;;) {
      const port = await freePort(...preferred.filter((candidate) => !chosen.has(candidate)));
      if (chosen.has(port)) continue;
      chosen.add(port);
      return port;
    }
  };
  const edges = [first];
  while (edges.length < wanted.edges) edges.push(await nextPort());
  const backends: number[] = [];
  while (backends.length < wanted.backends) backends.push(await nextPort());
  const postgres = await nextPort(portIn(previous['CATALOG_URL']));
  const nats = await nextPort(portIn(previous[natsSetting('agent')]));
  const previousParts = parseParts(previous['PARTS'] ?? '');
  const admin = new Map<string, number>();
  for (const name of wanted.parts) admin.set(name, await nextPort(portIn(previousParts.find((part) => part.name === name)?.url)));
  return { edges, backends, postgres, nats, admin };
}

type GeneratedSettings = Record<
  | 'BASE_URL'
  | 'CATALOG_URL'
  | 'BACKEND_URL'
  | 'WORKER_URL'
  | 'AUTHOR_URL'
  | 'ANALYST_URL'
  | 'FORWARDER_URL'
  | 'SHARDS'
  | 'SLUG_KEYS'
  | 'AGENT_NATS_URL'
  | 'WORKER_NATS_URL'
  | 'ANALYST_NATS_URL'
  | 'PARTS',
  string
>;

/**
 * Generates the settings. The keys and passwords of the previous run are kept; the first run generates them. The ports are the ports of
 * this run.
 */
function generateSettings(previous: Record<string, string>, ports: Ports, shards: number): GeneratedSettings {
  const passwordIn = (name: string): string => {
    const url = previous[name];
    return url === undefined ? randomBytes(18).toString('base64url') : decodeURIComponent(new URL(url).password);
  };
  const urlOf = (name: string, user: string): string => `postgres://${user}:${passwordIn(name)}@127.0.0.1:${ports.postgres}/clickledger`;
  const natsUrlOf = (role: NatsRole): string => `nats://${role}:${passwordIn(natsSetting(role))}@127.0.0.1:${ports.nats}`;
  const shardsText = previous['SHARDS']
    ? previous['SHARDS'].replace(/127\.0\.0\.1:\d+/g, `127.0.0.1:${ports.postgres}`)
    : evenShards(shards, (name) => `postgres://127.0.0.1:${ports.postgres}/clickledger_shard_${name}`);
  return {
    BASE_URL: `http://127.0.0.1:${ports.edges[0]}`,
    CATALOG_URL: urlOf('CATALOG_URL', OWNER),
    BACKEND_URL: urlOf('BACKEND_URL', 'clickledger_backend'),
    WORKER_URL: urlOf('WORKER_URL', 'clickledger_worker'),
    AUTHOR_URL: urlOf('AUTHOR_URL', 'clickledger_author'),
    ANALYST_URL: urlOf('ANALYST_URL', 'clickledger_analyst'),
    FORWARDER_URL: urlOf('FORWARDER_URL', 'clickledger_forwarder'),
    SHARDS: shardsText,
    SLUG_KEYS: previous['SLUG_KEYS'] ?? randomBytes(32).toString('hex'),
    AGENT_NATS_URL: natsUrlOf('agent'),
    WORKER_NATS_URL: natsUrlOf('worker'),
    ANALYST_NATS_URL: natsUrlOf('analyst'),
    PARTS: formatParts(Array.from(ports.admin, ([name, port]) => ({ name, url: `http://127.0.0.1:${port}` }))),
  };
}

/** Returns the arguments of `migrate` for these settings. */
export function migrationSettings(env: Readonly<Record<string, string>>): Parameters<typeof migrate>[0] {
  const roleUrls = Object.fromEntries(ROLES.map((role) => [role, env[`${role.toUpperCase()}_URL`] ?? ''])) as Parameters<
    typeof migrate
  >[0]['roleUrls'];
  return {
    dedicated: true,
    ownerUrl: env['CATALOG_URL'] ?? '',
    roleUrls,
    shards: parseShards(env['SHARDS'] ?? ''),
    keys: parseSlugKeys(env['SLUG_KEYS'] ?? ''),
  };
}
