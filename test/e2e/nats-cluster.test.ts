import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager } from '../../core/nats.ts';
import { createSlugCodec, type SlugCodec } from '../../core/slug.ts';
import { STREAM } from '../../core/subjects.ts';
import { startPart } from '../../stack/part.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { logLine } from '../support/log-lines.ts';
import { type ClusterMember, startTestCluster, type TestCluster } from '../support/nats-cluster.ts';
import { eventually, natsConnection, temporaryDirectory } from '../support/servers.ts';

// An agent and a worker with a cluster of three NATS servers, which lose in turn what such a cluster can lose. After each loss, every hit must be
// in the database exactly once.

interface Rig {
  cluster: TestCluster;
  streams: JetStreamManager;
  databases: Databases;
  /** Writes lines until `stop` is called. */
  startWriting: () => { stop: () => Promise<void> };
  write: (lines: number) => Promise<void>;
  untilCounted: (timeoutMs?: number) => Promise<void>;
}

async function createRig(cluster: TestCluster): Promise<Rig> {
  const databases = await createDatabases(1);
  const slugs: SlugCodec = createSlugCodec(databases.keys);
  const directory = await temporaryDirectory();
  const logDir = join(directory, 'logs');
  await mkdir(logDir);
  const connection = await natsConnection(cluster.url());
  onTestFinished(() => connection.close());
  const streams = await createJetStreamManager(connection);
  const env = {
    SHARDS: databases.shardsText,
    STREAM_REPLICAS: '3',
    LOG_LEVEL: 'debug',
    ADMIN_PORT: '',
  };
  const parts = await Promise.all([
    startPart({
      part: 'event-worker',
      name: 'worker',
      runDir: join(directory, 'run'),
      env: { ...env, WORKER_URL: databases.roleUrls.worker, WORKER_NATS_URL: cluster.urlOf('worker'), SLUG_KEYS: databases.keysText },
    }),
    startPart({
      part: 'log-agent',
      name: 'agent',
      runDir: join(directory, 'run'),
      env: {
        ...env,
        BASE_URL: 'http://click.example',
        AGENT_NATS_URL: cluster.urlOf('agent'),
        LOG_DIR: logDir,
        STATE_DIR: join(directory, 'state'),
      },
    }),
  ]);
  onTestFinished(() => Promise.all(parts.map((part) => part.stop())).then(() => {}));
  const offs: number[] = [];
  let size = 0;
  const write = async (lines: number): Promise<void> => {
    const texts = Array.from({ length: lines }, (_, i) => {
      const t = Date.now() / 1000;
      return logLine({ t, h: 'click.example', u: `/u/${slugs.encode({ link: 7, recipient: offs.length + i + 1 })}` });
    });
    for (const text of texts) {
      offs.push(size);
      size += Buffer.byteLength(text);
    }
    await appendFile(join(logDir, 'access.log'), texts.join(''));
  };
  return {
    cluster,
    streams,
    databases,
    write,
    startWriting() {
      let active = true;
      const done = (async () => {
        while (active) {
          await write(20);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      return {
        async stop() {
          active = false;
          await done;
        },
      };
    },
    async untilCounted(timeoutMs = 30_000) {
      const count = async (): Promise<number> => {
        const [row] = await databases.query<{ n: number }>('a', 'SELECT count(*)::int AS n FROM shard.event');
        return row?.n ?? 0;
      };
      const from=performance.now();
      await eventually(`${offs.length} hits are counted`, async () => (await count()) >= offs.length, timeoutMs).catch(async (e)=>{ console.log('count',await count(),offs.length);
        for (const part of ['worker','agent']) console.log(part, (await (await import('node:fs/promises')).readFile(join(directory,'run',part+'.log'),'utf8')).split('\n').slice(-12).join('\n'));
        for (const m of cluster.members) { const c=await natsConnection(cluster.url(m.name)); const js=await createJetStreamManager(c); console.log(m.name, JSON.stringify(await js.streams.info(STREAM).catch(String)), JSON.stringify(await js.consumers.info(STREAM,'worker-a').catch(String)), await (await import('@nats-io/jetstream')).jetstream(c,{timeout:3000}).publish('events.zz','x',{retries:0}).then(a=>a.seq,String)); await c.close(); console.log((await (await import('node:fs/promises')).readFile(m.storeDir+'/../../run/'+m.name+'.log','utf8')).split('\n').filter(l=>!/Plaintext|INF.*(Router|\[INF\]   )/.test(l)).slice(-25).join('\n')); }
        throw e;});
      console.log('counted after', performance.now()-from, offs.length);
      const rows = await databases.query<{ off: number }>('a', 'SELECT off::int AS off FROM shard.event ORDER BY off');
      expect(rows.map(({ off }) => off)).toEqual(offs);
    },
  };
}

const info = (rig: Rig): Promise<StreamInfo | undefined> => rig.streams.streams.info(STREAM).catch(() => undefined);
async function leader(rig: Rig): Promise<ClusterMember> {
  let name: string | undefined;
  await eventually('the stream has a leader', async () => (name = (await info(rig))?.cluster?.leader) !== undefined);
  return rig.cluster.member(name as string);
}
const say = async (rig: Rig, what: string) => { const i=await info(rig); console.log(what, JSON.stringify({created:i?.created,state:i?.state,cluster:i?.cluster}), JSON.stringify(await rig.streams.consumers.info(STREAM,'worker-a').then(c=>[c.delivered,c.ack_floor,c.num_pending,c.num_ack_pending,c.cluster?.leader],String))); };

const CASE = process.env['CASE'] ?? '';
describe('a cluster', () => {
  test('x', async () => {
    const rig = await createRig(await startTestCluster());
    await rig.write(200);
    await rig.untilCounted();
    await say(rig,'start');
    const writing = rig.startWriting();
    const stop = async () => { await new Promise(r=>setTimeout(r,1500)); await say(rig,'after'); await writing.stop(); await rig.untilCounted(40_000); await say(rig,'end'); };
    const members = rig.cluster.members;
    const first = await leader(rig);
    const others = members.filter((m) => m !== first);
    if (CASE === 'leader') { await first.running().kill(); await new Promise(r=>setTimeout(r,3000)); await first.start(); }
    if (CASE === 'wipe1') { await first.running().kill(); await first.wipe(); await first.start(); }
    if (CASE === 'wipe2') { for (const m of others) await m.running().kill(); for (const m of others) await m.wipe(); await Promise.all(others.map(m=>m.start())); }
    if (CASE.startsWith('wipe2-')) { for (const m of others) await m.running().kill(); for (const m of others) await m.wipe(); await Promise.all(others.map(m=>m.start())); await new Promise(r=>setTimeout(r,20_000)); await first.running().kill(); if (CASE==='wipe2-wipe') await first.wipe(); await first.start(); }
    if (CASE === 'wipe2l') { const two=[first,others[0]!]; for (const m of two) await m.running().kill(); for (const m of two) await m.wipe(); await Promise.all(two.map(m=>m.start())); }
    if (CASE === 'wipe3') { for (const m of members) await m.running().kill(); for (const m of members) await m.wipe(); await Promise.all(members.map(m=>m.start())); }
    if (CASE === 'minority') { first.running().signal('SIGSTOP'); await new Promise(r=>setTimeout(r,8000)); await say(rig,'stopped'); first.running().signal('SIGCONT'); }
    if (CASE === 'majority') { for (const m of [first,others[0]!]) m.running().signal('SIGSTOP'); await new Promise(r=>setTimeout(r,8000)); for (const m of [first,others[0]!]) m.running().signal('SIGCONT'); }
    if (CASE === 'killall') { for (const m of members) await m.running().kill(); await Promise.all(members.map(m=>m.start())); }
    await stop();
  }, 200_000);
});
