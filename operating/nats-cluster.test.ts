import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { LEDGER_API, STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { locate } from '../stack/debian.ts';
import { freePort } from '../stack/ports.ts';
import { startProcess } from '../stack/process.ts';
import { makeCertificates } from '../test/support/certificates.ts';
import { startTestCluster } from '../test/support/nats-cluster.ts';
import { eventually, natsConnection, temporaryDirectory } from '../test/support/servers.ts';
import { init, type InitOptions } from './init.ts';
import { parseNatsCluster } from './nats-cluster.ts';

const SIZE = { maxBytes: 1_000_000, replicas: 3 };

/** Runs `init` with the defaults of the command, and with the settings of each part below `directory`. */
function initIn(directory: string, options: Partial<InitOptions>): Promise<string[]> {
  return init(join(directory, 'owner'), {
    baseUrl: 'https://t.example.org',
    catalog: 'postgres://owner@db/clickledger',
    nats: 'nats://127.0.0.1:4222',
    natsStore: join(directory, 'store'),
    logDir: '/var/log/clickledger',
    parts: '',
    shards: '1',
    perPart: directory,
    ...options,
  });
}

describe('init --nats-cluster', () => {
  test('writes configurations with which three servers become one cluster, and no other server joins', async () => {
    const directory = await temporaryDirectory();
    const names = ['n1', 'n2', 'n3'];
    const ports = await Promise.all(names.map(() => freePort()));
    const routes = await Promise.all(names.map(() => freePort()));
    const files = await initIn(directory, {
      nats: ports.map((port) => `nats://127.0.0.1:${port}`).join(),
      natsCluster: names.map((name, i) => `${name}=127.0.0.1:${routes[i]}`).join(),
    });
    expect(files).toEqual(['nats-n1.conf', 'nats-n2.conf', 'nats-n3.conf']);
    expect((await readdir(join(directory, 'nats'))).toSorted()).toEqual(files);
    for (const part of ['owner', 'agent', 'worker', 'author'])
      expect((await readEnvFile(join(directory, part)))['STREAM_REPLICAS'], part).toBe('3');
    const owner = await readEnvFile(join(directory, 'owner'));
    expect(await readFile(join(directory, 'worker', 'env'), 'utf8')).not.toContain(owner['NATS_ROUTE_PASSWORD']);

    const command = await locate('nats-server');
    const start = async (name: string, conf: string) => {
      const server = await startProcess({
        name,
        command,
        args: ['-c', conf],
        stopSignal: 'SIGTERM',
        runDir: join(directory, 'run'),
        ready: async () => (await readFile(join(directory, 'run', `${name}.log`), 'utf8')).includes('Server is ready'),
      });
      onTestFinished(() => server.kill());
    };
    await Promise.all(names.map((name) => start(name, join(directory, 'nats', `nats-${name}.conf`))));
    const worker = await natsConnection(owner['WORKER_NATS_URL'] as string);
    onTestFinished(() => worker.close());
    const streams = await createJetStreamManager(worker);
    await eventually('the stream has three replicas', () =>
      ensureConsumer(streams, 'a', SIZE).then(
        () => true,
        () => false,
      ),
    );
    const { cluster } = await streams.streams.info(STREAM);
    const others = cluster?.replicas?.map(({ name }) => name) ?? [];
    expect([cluster?.leader ?? '', ...others].toSorted()).toEqual(names);

    // A server with another password for the routes.
    const other = await temporaryDirectory();
    await initIn(other, {
      nats: [await freePort(), ports[1], ports[2]].map((port) => `nats://127.0.0.1:${port}`).join(),
      natsCluster: [`n4=127.0.0.1:${await freePort()}`, ...[1, 2].map((i) => `${names[i]}=127.0.0.1:${routes[i]}`)].join(),
    });
    await start('n4', join(other, 'owner', 'nats-n4.conf'));
    await eventually('a server has refused the stranger', async () =>
      (await readFile(join(directory, 'run', 'n2.log'), 'utf8')).includes('authentication error'),
    );
  });

  test('asks for the servers in settings that exist, and keeps the password of the routes', async () => {
    const directory = await temporaryDirectory();
    const options = { nats: 'nats://h1,nats://h2,nats://h3', natsCluster: 'a=h1:6222,b=h2:6222,c=h3:6222' };
    await initIn(directory, { nats: 'nats://h1' });
    await expect(initIn(directory, options)).rejects.toThrow('has 1 of the 3 servers');
    const settings = await readEnvFile(join(directory, 'owner'));
    const changed = Object.entries(settings).map(([name, value]) => [
      name,
      name.endsWith('_NATS_URL') ? ['h1', 'h2', 'h3'].map((host) => value.replace('@h1', `@${host}`)).join() : value,
    ]);
    await writeEnvFile(join(directory, 'owner'), Object.fromEntries(changed));
    await initIn(directory, options);
    const before = await readFile(join(directory, 'nats', 'nats-b.conf'), 'utf8');
    await initIn(directory, options);
    expect(await readFile(join(directory, 'nats', 'nats-b.conf'), 'utf8')).toBe(before);
  });

  test('says what is wrong with the list of servers', () => {
    const three = 'nats://h1,nats://h2,nats://h3';
    const cases: [cluster: string, nats: string, mistake: RegExp][] = [
      ['a=h1:1,b=h2:1', 'nats://h1,nats://h2', /2 servers are given.*so give 3/],
      ['a=h1:1', 'nats://h1', /1 servers are given/],
      ['a=h1:1,b=h2:1,c=h3:1,d=h4:1', `${three},nats://h4`, /4 servers are given/],
      ['a=h1:1,b=h2:1,a=h3:1', three, /the name a is given twice/],
      ['a=h1:1,b=h2:1,c=h1:1', three, /same address/],
      ['a=h1:1,b=h2:1,c=h3', three, /c needs the host and the port/],
      ['a=h1:1,b=h2:1,c=h3:x', three, /c needs the host and the port/],
      ['a=h1:1,h2:1,c=h3:1', three, /'h2:1' is not name=host:port/],
      ['a=h1:1,b b=h2:1,c=h3:1', three, /'b b=h2:1' is not name=host:port/],
      ['', three, /is not name=host:port/],
      ['a=h1:1,b=h2:1,c=h3:1', 'nats://h1,nats://h2', /--nats has 2 URLs and --nats-cluster 3 servers/],
    ];
    for (const [cluster, nats, mistake] of cases) expect(() => parseNatsCluster(cluster, nats), cluster).toThrow(mistake);
    expect(parseNatsCluster('a=h1:1, b=[::1]:1,c=h3:1', 'nats://h1,nats://[::1]:5,nats://h3').map(({ client }) => client)).toEqual([
      { host: 'h1', port: 4222 },
      { host: '::1', port: 5 },
      { host: 'h3', port: 4222 },
    ]);
  });
});

describe('the servers of a cluster', () => {
  test('answer agents, analysts and workers that are connected to different servers, and use TLS also between each other', async () => {
    const directory = await temporaryDirectory();
    const certificates = await makeCertificates(directory, 'nats');
    const { certificate, key, ca } = certificates;
    const cluster = await startTestCluster({ tls: { certificate, key }, caFile: ca, routeTls: { certificate, key, ca } });
    const connect = async (url: string) => {
      const connection = await natsConnection(url, ca);
      onTestFinished(() => connection.close());
      return connection;
    };
    const operator = await connect(cluster.url());
    await ensureConsumer(await createJetStreamManager(operator), 'a', SIZE);
    for (const { name } of cluster.members) {
      const worker = await connect(cluster.urlOf('worker', name));
      const answering = worker.subscribe('ledger.*', { queue: 'workers', callback: (_error, request) => void request.respond(name) });
      await worker.flush();
      for (const other of cluster.members) {
        const agent = await connect(cluster.urlOf('agent', other.name));
        expect((await agent.request('ledger.a', '{}')).string()).toBe(name);
        const { seq } = await jetstream(agent).publish('events.a', 'x');
        const analyst = await createJetStreamManager(await connect(cluster.urlOf('analyst', other.name)), LEDGER_API);
        expect((await analyst.streams.info(STREAM)).state.last_seq).toBe(seq);
      }
      await answering.drain();
      await worker.flush();
    }
    // Clients learn no other addresses from a server than those in their settings.
    expect(operator.info?.connect_urls).toBeUndefined();
  });
});
