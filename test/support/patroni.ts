import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { libraryPath, locate } from '../../stack/debian.ts';
import { freePort } from '../../stack/ports.ts';
import { OWNER } from '../../stack/postgres.ts';
import { type Running, startProcess } from '../../stack/process.ts';
import { queryOnce } from './counted-system.ts';
import { signalAll } from './processes.ts';
import { PASSWORD, settingsFor } from './replicas.ts';
import { eventually } from './servers.ts';

// Three Postgres servers, each started by Patroni. When the primary is lost, Patroni promotes a standby. The Patroni processes choose the primary by
// Raft, so the test needs no etcd.

const MODULES = 'usr/lib/python3/dist-packages';

export interface PatroniMember {
  readonly name: string;
  /** The port of Postgres. */
  readonly port: number;
  start(): Promise<void>;
  /** Kills Patroni and its Postgres at once, as the end of their host does. */
  kill(): Promise<void>;
  /** 'leader' or 'replica' once Postgres runs; otherwise the state that Patroni reports. */
  role(): Promise<string>;
  /** Runs one statement as the owner. */
  query(database: string, sql: string): Promise<Record<string, unknown>[]>;
}

export interface PatroniCluster {
  readonly members: readonly PatroniMember[];
  /** Settings that make all parts of a system use these servers. */
  readonly settings: Readonly<Record<string, string>>;
  /** The member that is the leader. Waits until there is one. */
  leader(): Promise<PatroniMember>;
}

/** Starts three members. They are stopped after the test. */
export async function startPatroni(): Promise<PatroniCluster> {
  const postgres = await realpath(await locate('postgres'));
  const patroni = await locate('patroni');
  // The modules of Debian are for the Python of Debian, and another one may come first on the PATH.
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : await locate('python3');
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-patroni-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const names = ['p1', 'p2', 'p3'];
  const ports = await Promise.all(names.map(async () => ({ postgres: await freePort(), api: await freePort(), raft: await freePort() })));

  const members = names.map((name, i): PatroniMember => {
    const own = ports[i] as (typeof ports)[number];
    const home = join(directory, name);
    let running: Running | undefined;
    const kill = async (): Promise<void> => {
      if (!running) return;
      await running.kill();
      signalAll(await postmasterOf(join(home, 'data')), 'SIGKILL');
      running = undefined;
    };
    onTestFinished(kill);
    const api = async (): Promise<{ role?: string; state?: string }> =>
      (await (await fetch(`http://127.0.0.1:${own.api}/patroni`)).json()) as { role?: string; state?: string };
    const member: PatroniMember = {
      name,
      port: own.postgres,
      async start() {
        await mkdir(join(home, 'socket'), { recursive: true });
        const partners = ports.filter((other) => other !== own).map(({ raft }) => `127.0.0.1:${raft}`);
        const config = configOf({ name, home, binDir: dirname(postgres), ...own, partners });
        // JSON is YAML, too.
        await writeFile(join(home, 'patroni.yml'), JSON.stringify(config), { mode: 0o600 });
        running = await startProcess({
          name: `patroni-${name}`,
          command: python,
          args: ['-m', 'patroni', join(home, 'patroni.yml')],
          stopSignal: 'SIGTERM',
          runDir: directory,
          env: {
            PYTHONPATH: join(patroni, '..', '..', '..', MODULES),
            LD_LIBRARY_PATH: [libraryPath(patroni), libraryPath(postgres)].join(delimiter),
          },
          notRoot: true,
          ready: async () => (await api()) !== undefined,
        });
      },
      kill,
      async role() {
        const { role = '', state = '' } = await api();
        if (state !== 'running') return state;
        return role === 'master' || role === 'primary' ? 'leader' : 'replica';
      },
      query: (database, sql) => queryOnce(`postgres://${OWNER}:${PASSWORD}@127.0.0.1:${own.postgres}/${database}`, sql),
    };
    return member;
  });

  await Promise.all(members.map((member) => member.start()));
  const cluster: PatroniCluster = {
    members,
    settings: settingsFor(ports.map(({ postgres: port }) => `127.0.0.1:${port}`).join(',')),
    async leader() {
      let found: PatroniMember | undefined;
      await eventually(
        'a member is the leader',
        async () => {
          const roles = await Promise.all(members.map((member) => member.role().catch(() => '')));
          found = members[roles.indexOf('leader')];
          return found !== undefined;
        },
        120_000,
      );
      return found as PatroniMember;
    },
  };
  await cluster.leader();
  for (const member of members)
    await eventually(`${member.name} runs`, async () => ['leader', 'replica'].includes(await member.role().catch(() => '')), 120_000);
  return cluster;
}

function configOf(options: {
  name: string;
  home: string;
  binDir: string;
  postgres: number;
  api: number;
  raft: number;
  partners: readonly string[];
}): object {
  const { name, home, binDir, postgres, api, raft, partners } = options;
  const account = { username: OWNER, password: PASSWORD };
  return {
    scope: 'clickledger',
    name,
    restapi: { listen: `127.0.0.1:${api}`, connect_address: `127.0.0.1:${api}` },
    raft: { data_dir: join(home, 'raft'), self_addr: `127.0.0.1:${raft}`, partner_addrs: partners },
    bootstrap: {
      // 20 is the least that Patroni accepts for ttl.
      dcs: { ttl: 20, loop_wait: 2, retry_timeout: 5, postgresql: { use_pg_rewind: true } },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
    postgresql: {
      listen: `127.0.0.1:${postgres}`,
      connect_address: `127.0.0.1:${postgres}`,
      data_dir: join(home, 'data'),
      bin_dir: binDir,
      pgpass: join(home, 'pgpass'),
      authentication: { superuser: account, replication: account, rewind: account },
      parameters: { unix_socket_directories: join(home, 'socket'), max_connections: 200, fsync: 'off' },
      pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
    },
  };
}

/** Returns the pid of the main process of Postgres, or nothing if it does not run. It is not a child of Patroni, so it still runs after Patroni was killed. */
async function postmasterOf(dataDir: string): Promise<number[]> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  return text === '' ? [] : [Number(text.split('\n')[0])];
}
