import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
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
import { endLeftovers, type Running } from './process.ts';

// The whole of clickledger as local processes under one data directory:
//
//   <data>/env  postgres/  nats/  edge-1/logs/ …  state/<part>/  run/ (pid files, output, configuration)

export interface SystemOptions {
  dataDir: string;
  /** Of the first nginx; default: as last time, else the preferred one, else any that is free. */
  port?: number;
  preferredPort?: number;
  shards?: number;
  backends?: number;
  /** nginx with an agent each. */
  edges?: number;
  workers?: number;
  durable?: boolean;
  /** Gives NATS a user `operator` with every right: a harness deletes streams with it. */
  natsOperatorPassword?: string;
  /** Settings of one member alone, on top of all others: a harness puts proxies in between with it. Asked at every start. */
  envOf?: (member: string, env: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  /** Settings on top of the generated ones, for every part and nginx. */
  extra?: Readonly<Record<string, string>>;
  onProgress?: (text: string) => void;
}

/** A process that can be started, ended, killed and started again under its name. */
export interface Member {
  readonly name: string;
  running: Running | undefined;
  start(): Promise<void>;
}

export interface System {
  readonly env: Readonly<Record<string, string>>;
  readonly baseUrl: string;
  /** In the order in which they start. */
  readonly members: readonly Member[];
  readonly ports: { edges: readonly number[] };
  readonly logDirs: readonly string[];
  member(name: string): Member;
  /** Ends everything, last started first. */
  stop(): Promise<void>;
}

export async function startSystem(options: SystemOptions): Promise<System> {
  const { dataDir, backends = 2, edges = 1, workers = 1, durable = true, extra = {}, envOf = () => ({}), onProgress = () => {} } = options;
  const runDir = join(dataDir, 'run');
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await endLeftovers(runDir);

  const known = await readEnvFile(dataDir);
  const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
  const names = {
    workers: numbered('event-worker', workers),
    backends: numbered('backend', backends),
    agents: numbered('log-agent', edges),
  };
  const ports = await choosePorts(known, {
    port: options.port,
    preferredPort: options.preferredPort,
    backends,
    edges,
    parts: Object.values(names).flat(),
  });
  const logDirs = ports.edges.map((_, i) => join(dataDir, `edge-${i + 1}`, 'logs'));
  const env = { ...settings(known, ports, options.shards ?? 1), LOG_DIR: logDirs[0] as string, ...extra };
  const ownerPassword = decodeURIComponent(new URL(env.CATALOG_URL).password);

  const member = (name: string, begin: () => Promise<Running>): Member => {
    const self: Member = {
      name,
      running: undefined,
      async start() {
        self.running = await begin();
      },
    };
    return self;
  };
  const part = (partName: PartName, name: string, more: Record<string, string>) => {
    const own = { STATE_DIR: join(dataDir, 'state', name), ADMIN_PORT: String(ports.admin.get(name)), ...more };
    return member(name, () => startPart({ part: partName, name, runDir, env: { ...env, ...own, ...envOf(name, env) } }));
  };

  const postgres = member('postgres', () =>
    startPostgres({ dataDir: join(dataDir, 'postgres'), runDir, port: ports.postgres, ownerPassword, durable }),
  );
  const passwords = Object.fromEntries(NATS_ROLES.map((role) => [role, parseNatsUrl(env[natsSetting(role)]).password] as const)) as Record<
    NatsRole,
    string
  >;
  const nats = member('nats', () =>
    startNats({ storeDir: join(dataDir, 'nats'), runDir, port: ports.nats, passwords, operatorPassword: options.natsOperatorPassword }),
  );
  const servers = [postgres, nats];
  const parts = [
    ...names.workers.map((name) => part('event-worker', name, {})),
    ...names.backends.map((name, i) => part('backend', name, { PORT: String(ports.backends[i]) })),
    ...ports.edges.flatMap((port, i) => {
      const logDir = logDirs[i] as string;
      return [
        member(`nginx-${i + 1}`, () =>
          startNginx({ logDir, runDir, port, backendPorts: ports.backends, name: `nginx-${i + 1}`, env: extra }),
        ),
        part('log-agent', names.agents[i] as string, { LOG_DIR: logDir }),
      ];
    }),
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
      if (!found) throw new Error(`no member ${name}`);
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
    await writeEnvFile(dataDir, env);
    onProgress('preparing the databases');
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
  /** Of each part, by its name. */
  admin: ReadonlyMap<string, number>;
}

/** Those of last time where they are free: URLs that were sent out stay good. */
async function choosePorts(
  known: Record<string, string>,
  wanted: { port: number | undefined; preferredPort: number | undefined; backends: number; edges: number; parts: readonly string[] },
): Promise<Ports> {
  const portIn = (url: string | undefined): number => (url === undefined ? 0 : Number(new URL(url).port));
  const first = wanted.port ?? (await freePort(portIn(known['BASE_URL']), wanted.preferredPort ?? 0));
  const taken = new Set<number>([first]);
  const another = async (...preferred: number[]): Promise<number> => {
    for (;;) {
      const port = await freePort(...preferred.filter((candidate) => !taken.has(candidate)));
      if (taken.has(port)) continue;
      taken.add(port);
      return port;
    }
  };
  const edges = [first];
  while (edges.length < wanted.edges) edges.push(await another());
  const backends: number[] = [];
  while (backends.length < wanted.backends) backends.push(await another());
  const postgres = await another(portIn(known['CATALOG_URL']));
  const nats = await another(portIn(known[natsSetting('agent')]));
  const before = parseParts(known['PARTS'] ?? '');
  const admin = new Map<string, number>();
  for (const name of wanted.parts) admin.set(name, await another(portIn(before.find((part) => part.name === name)?.url)));
  return { edges, backends, postgres, nats, admin };
}

type GeneratedSettings = Record<
  | 'BASE_URL'
  | 'CATALOG_URL'
  | 'BACKEND_URL'
  | 'WORKER_URL'
  | 'AUTHOR_URL'
  | 'ANALYST_URL'
  | 'SHARDS'
  | 'SLUG_KEYS'
  | 'AGENT_NATS_URL'
  | 'WORKER_NATS_URL'
  | 'ANALYST_NATS_URL'
  | 'PARTS',
  string
>;

/** Keys and passwords are made once; ports are those of this start. */
function settings(known: Record<string, string>, ports: Ports, shards: number): GeneratedSettings {
  const passwordIn = (name: string): string => {
    const before = known[name];
    return before === undefined ? randomBytes(18).toString('base64url') : decodeURIComponent(new URL(before).password);
  };
  const urlOf = (name: string, user: string): string => `postgres://${user}:${passwordIn(name)}@127.0.0.1:${ports.postgres}/clickledger`;
  const natsUrlOf = (role: NatsRole): string => `nats://${role}:${passwordIn(natsSetting(role))}@127.0.0.1:${ports.nats}`;
  const list = known['SHARDS']
    ? known['SHARDS'].replace(/127\.0\.0\.1:\d+/g, `127.0.0.1:${ports.postgres}`)
    : evenShards(shards, (name) => `postgres://127.0.0.1:${ports.postgres}/clickledger_shard_${name}`);
  return {
    BASE_URL: `http://127.0.0.1:${ports.edges[0]}`,
    CATALOG_URL: urlOf('CATALOG_URL', OWNER),
    BACKEND_URL: urlOf('BACKEND_URL', 'clickledger_backend'),
    WORKER_URL: urlOf('WORKER_URL', 'clickledger_worker'),
    AUTHOR_URL: urlOf('AUTHOR_URL', 'clickledger_author'),
    ANALYST_URL: urlOf('ANALYST_URL', 'clickledger_analyst'),
    SHARDS: list,
    SLUG_KEYS: known['SLUG_KEYS'] ?? randomBytes(32).toString('hex'),
    AGENT_NATS_URL: natsUrlOf('agent'),
    WORKER_NATS_URL: natsUrlOf('worker'),
    ANALYST_NATS_URL: natsUrlOf('analyst'),
    PARTS: formatParts(Array.from(ports.admin, ([name, port]) => ({ name, url: `http://127.0.0.1:${port}` }))),
  };
}

function migrationSettings(env: Readonly<Record<string, string>>): Parameters<typeof migrate>[0] {
  const roleUrls = Object.fromEntries(ROLES.map((role) => [role, env[`${role.toUpperCase()}_URL`] ?? ''])) as Parameters<
    typeof migrate
  >[0]['roleUrls'];
  return {
    ownerUrl: env['CATALOG_URL'] ?? '',
    roleUrls,
    shards: parseShards(env['SHARDS'] ?? ''),
    keys: parseSlugKeys(env['SLUG_KEYS'] ?? ''),
  };
}
