import { execFile } from 'node:child_process';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { StreamInfo } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager, natsOptions } from '../../core/nats.ts';
import { parseNatsUrl } from '../../core/nats-url.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { STREAM } from '../../core/subjects.ts';
import { sleep } from '../../core/time.ts';
import { startPart } from '../../stack/part.ts';
import { createDatabases } from '../support/databases.ts';
import { logLine } from '../support/log-lines.ts';
import { type ClusterMember, startTestCluster, type TestCluster } from '../support/nats-cluster.ts';
import { locateLaterNats } from '../support/other-nats.ts';
import { eventually, temporaryDirectory } from '../support/servers.ts';

// An agent and a worker use a cluster of three NATS servers that loses something. Hits are logged before, during and after the loss. At the end,
// each hit must be in the database exactly once.

const run = promisify(execFile);

interface Setting {
  cluster: TestCluster;
  leader: () => Promise<ClusterMember>;
  others: () => Promise<ClusterMember[]>;
  /**
   * Runs `loss` while hits are logged. Then waits until all hits are counted, and checks each of them.
   */
  during: (loss: () => Promise<void>) => Promise<void>;
  /** Waits until all servers have all messages again. */
  untilCurrent: () => Promise<void>;
  counted: () => Promise<number>;
}

async function setUp(options: Parameters<typeof startTestCluster>[0] = {}): Promise<Setting> {
  const cluster = await startTestCluster(options);
  const databases = await createDatabases(1);
  const slugs = createSlugCodec(databases.keys);
  const directory = await temporaryDirectory();
  const runDir = join(directory, 'run');
  const logDir = join(directory, 'logs');
  await mkdir(logDir);
  // With pings, a connection to a frozen server is given up.
  const servers = natsOptions(parseNatsUrl(cluster.url()));
  const connection = await connect({ ...servers, maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 1_000, maxPingOut: 2 });
  onTestFinished(() => connection.close());
  const streams = await createJetStreamManager(connection);
  const env = { SHARDS: databases.shardsText, STREAM_REPLICAS: '3', LOG_LEVEL: 'warn' };
  const worker = { WORKER_URL: databases.roleUrls.worker, WORKER_NATS_URL: cluster.urlOf('worker'), SLUG_KEYS: databases.keysText };
  const agent = {
    BASE_URL: 'http://click.example',
    AGENT_NATS_URL: cluster.urlOf('agent'),
    LOG_DIR: logDir,
    STATE_DIR: join(directory, 'state'),
  };
  const parts = await Promise.all([
    startPart({ part: 'event-worker', name: 'worker', runDir, env: { ...env, ...worker } }),
    startPart({ part: 'log-agent', name: 'agent', runDir, env: { ...env, ...agent } }),
  ]);
  onTestFinished(async () => void (await Promise.all(parts.map((part) => part.stop()))));

  /** The offset of each line. */
  const offsets: number[] = [];
  let size = 0;
  async function write(lines: number): Promise<void> {
    let text = '';
    for (let i = 0; i < lines; i++) {
      const line = logLine({ t: Date.now() / 1000, u: `/u/${slugs.encode({ link: 7, recipient: offsets.length + 1 })}` });
      offsets.push(size);
      size += Buffer.byteLength(line);
      text += line;
    }
    await appendFile(join(logDir, 'access.log'), text);
  }
  const counted = async (): Promise<number> => {
    const [row] = await databases.query<{ n: number }>('a', 'SELECT count(*)::int AS n FROM shard.event');
    return row?.n ?? 0;
  };
  const info = (): Promise<StreamInfo | undefined> => streams.streams.info(STREAM).catch(() => undefined);
  async function untilCounted(): Promise<void> {
    await eventually(`${offsets.length} hits are counted`, async () => (await counted()) >= offsets.length, 120_000);
    const rows = await databases.query<{ off: number }>('a', 'SELECT off::int AS off FROM shard.event ORDER BY off');
    expect(rows.map(({ off }) => off)).toEqual(offsets);
  }
  async function leader(): Promise<ClusterMember> {
    let name: string | undefined;
    await eventually('the stream has a leader', async () => (name = (await info())?.cluster?.leader) !== undefined);
    return cluster.member(name as string);
  }

  await write(100);
  await untilCounted();
  return {
    cluster,
    leader,
    counted,
    async others() {
      const first = await leader();
      return cluster.members.filter((member) => member !== first);
    },
    async during(loss) {
      let active = true;
      const writing = (async () => {
        while (active) {
          await write(10);
          await sleep(20);
        }
      })();
      await loss().finally(() => (active = false));
      await writing;
      await write(10);
      await untilCounted();
    },
    untilCurrent: () =>
      eventually(
        'all servers have all messages',
        async () => {
          const { cluster: state } = (await info()) ?? {};
          return state?.leader !== undefined && state.replicas?.length === 2 && state.replicas.every(({ current }) => current);
        },
        60_000,
      ),
  };
}

const kill = (members: readonly ClusterMember[]) => Promise.all(members.map((member) => member.running().kill()));
const start = (members: readonly ClusterMember[]) => Promise.all(members.map((member) => member.start()));

describe('hits are counted exactly once', () => {
  test('while the leader is killed, its store is lost, and servers freeze', async () => {
    const { during, leader, others, untilCurrent, counted, cluster } = await setUp();
    await during(async () => {
      const killed = await leader();
      await kill([killed]);
      await leader();
      await start([killed]);
    });
    await untilCurrent();
    await during(async () => {
      const wiped = await leader();
      await kill([wiped]);
      await wiped.wipe();
      await start([wiped]);
    });
    await untilCurrent();
    // A frozen server keeps its connections open. Its clients notice after missing replies to pings.
    const frozen = await leader();
    frozen.running().signal('SIGSTOP');
    await during(() => leader().then(() => {}));
    frozen.running().signal('SIGCONT');
    await untilCurrent();
    const majority = [await leader(), ...(await others()).slice(1)];
    const before = await counted();
    await during(async () => {
      for (const member of majority) member.running().signal('SIGSTOP');
      await sleep(3_000);
      for (const member of majority) member.running().signal('SIGCONT');
    });
    expect(await counted()).toBeGreaterThan(before);
    await during(async () => {
      await kill(cluster.members);
      await start(cluster.members);
    });
  }, 240_000);

  test('while the stores of two servers are lost, so that the servers do not agree on a leader; and of all servers', async () => {
    const { during, leader, others, counted, cluster } = await setUp();
    const kept = await leader();
    const { pid } = kept.running();
    await during(async () => {
      const wiped = await others();
      await kill(wiped);
      for (const member of wiped) await member.wipe();
      await start(wiped);
    });
    expect(await leader()).toBeDefined();
    expect(kept?.running().pid).toBe(pid);
    expect(await counted()).toBeGreaterThan(100);
    await during(async () => {
      await kill(cluster.members);
      for (const member of cluster.members) await member.wipe();
      await start(cluster.members);
    });
  }, 120_000);

  test('while the servers are upgraded, one after the other', async ({ skip }) => {
    const later = await locateLaterNats().catch((error: unknown) => String(error));
    if (!later.startsWith('/')) skip(`no later nats-server: ${later}`);
    const { during, untilCurrent, cluster } = await setUp();
    for (const member of cluster.members) {
      await during(async () => {
        await member.running().stop();
        await member.start(later);
      });
      await untilCurrent();
    }
  }, 240_000);

  describe('with a server whose disk is full', () => {
    let disk: string | undefined;
    let reason = '';

    beforeAll(async () => {
      disk = await mountSmallDisk().catch((error: unknown) => void (reason = String(error)));
    });
    afterAll(async () => {
      if (disk) await run('umount', ['--lazy', disk]);
    });

    test('the others go on', async ({ skip }) => {
      if (disk === undefined) skip(`no small disk can be mounted: ${reason}`);
      const { during } = await setUp({ storeDirs: { n2: join(disk as string, 'store') } });
      await during(async () => {
        await run('dd', ['if=/dev/zero', `of=${disk}/filler`, 'bs=1M']).catch(() => {});
        await sleep(3_000);
      });
      await run('rm', [join(disk as string, 'filler')]);
    }, 120_000);
  });
});

/** Mounts a file system of 24 MiB. Rejects where this is not permitted. */
async function mountSmallDisk(): Promise<string> {
  const { stdout } = await run('mktemp', ['--directory']);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', stdout.trim()]);
  return stdout.trim();
}
