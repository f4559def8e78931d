import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '../../operating/status/read-status.ts';
import { eventually } from '../support/servers.ts';
import { type Composition, composeUp, SERVICES, type Service, missingEngineReason } from './composition.ts';
import { storedHits, startVisiting, type Letter, prepareLetter, total, visit } from './recipients.ts';

// Tests docker-compose.yml without changes: starts the services, uses them as an author does, breaks some of them, and upgrades them. All
// tests share the same services. At the end of each test all services work.

// This check runs before the tests are defined. Without a Docker engine, the tests are skipped and the reason is printed.
const skipReason = await missingEngineReason();
if (skipReason !== '') process.stderr.write(`test/containers is skipped: ${skipReason}\n`);

let composition: Composition;
let letter: Letter;
let settings: Record<string, string>;

/** Checks that every answered hit is in the databases exactly once. */
async function expectExactlyOnce(): Promise<void> {
  await eventually('everything is counted', async () => total(await storedHits(composition)) >= total(letter.answered), 60_000);
  expect(Object.fromEntries(await storedHits(composition))).toEqual(Object.fromEntries(letter.answered));
}

async function signal(service: Service, action: 'kill' | 'start' | 'pause' | 'unpause'): Promise<void> {
  const container = await composition.container(service);
  if (action !== 'pause') return void (await container[action]());
  // With control groups v1, runc gives up after a few milliseconds if a process waits for a disk meanwhile: processes in such a wait
  // cannot be frozen. It then undoes what it did, so the request can be repeated.
  await eventually(`${service} is frozen`, () =>
    container.pause().then(
      () => true,
      (error: Error) => {
        if (error.message.includes('unable to freeze')) return false;
        throw error;
      },
    ),
  );
}

/** Returns the names of the settings whose secrets occur in a text. */
function findSecrets(text: string): string[] {
  const secrets = Object.entries(settings).flatMap(([name, value]): [string, string][] => {
    if (name === 'SLUG_KEYS') return [[name, value]];
    return name.endsWith('_URL') && name !== 'BASE_URL' ? [[name, new URL(value).password]] : [];
  });
  expect(secrets).toHaveLength(10);
  for (const [, secret] of secrets) expect(secret.length).toBeGreaterThanOrEqual(24);
  return secrets.flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));
}

describe.skipIf(skipReason !== '')('docker compose up', () => {
  beforeAll(async () => {
    // All clicks come from one address, so the limits must be high. The log is rotated every few thousand hits.
    composition = await composeUp({ RATE_LIMIT: '100000', RATE_BURST: '100000', ROTATE_MIB: '1', ROTATE_SECONDS: '15' });
    const env = await composition.compose('run', '--rm', '-T', '--entrypoint', 'cat', 'operator', '/settings/env');
    settings = Object.fromEntries(env.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    letter = await prepareLetter(composition, settings['SLUG_KEYS'] ?? '');
  });
  afterAll(() => composition?.down());

  test('serves the first campaign: a click, an open, and both in the report', async () => {
    const [click, open] = ['click', 'open'].map((kind) => letter.addresses.find(({ key }) => key.startsWith(kind)));
    expect(letter.addresses).toHaveLength(40 * 3);
    // The backends load new links within about a second.
    await eventually('the click leads where it should', async () => {
      letter.failed = [];
      await visit(letter, click as NonNullable<typeof click>);
      return letter.failed.length === 0;
    });
    await visit(letter, open as NonNullable<typeof open>);
    expect(letter.failed).toEqual([]);
    await eventually('both hits are counted', async () => total(await storedHits(composition)) === 2);
    const report = JSON.parse(await composition.clickledger('report', 'campaign-summary', '--campaign', '1', '--json')) as object[];
    expect(report).toEqual([
      expect.objectContaining({ campaign: 'Spring sale', kind: 'click', hits: 1, human_hits: 1, recipients: 1, prepared_for: 40 }),
      expect.objectContaining({ campaign: 'Spring sale', kind: 'open', hits: 1, human_hits: 1, recipients: 1, prepared_for: 40 }),
    ]);
    await expectExactlyOnce();
    // If the command finds a problem, it exits with code 3 and the promise rejects.
    const status = JSON.parse(await composition.clickledger('status', '--json')) as Status;
    expect(status.parts.map(({ name, answers, ready }) => [name, answers, ready])).toEqual(
      ['worker', 'backend-1', 'backend-2', 'agent'].map((name) => [name, true, true]),
    );
    expect(status.problems).toEqual([]);
  });

  test('gives containers no more than they need', async () => {
    for (const service of SERVICES) {
      const { Config, HostConfig, State } = await (await composition.container(service)).inspect();
      expect([service, HostConfig.ReadonlyRootfs, HostConfig.CapDrop, HostConfig.CapAdd, HostConfig.Privileged]).toEqual([
        service,
        true,
        ['ALL'],
        null,
        false,
      ]);
      expect(HostConfig.SecurityOpt).toEqual(['no-new-privileges:true']);
      expect(HostConfig.RestartPolicy?.Name).toBe('unless-stopped');
      expect(HostConfig.Memory).toBeGreaterThan(0);
      expect(HostConfig.PidsLimit).toBeGreaterThan(0);
      expect(HostConfig.LogConfig?.Config).toHaveProperty('max-size');
      expect([service, State.Health?.Status]).toEqual([service, 'healthy']);
      expect(Config.User).not.toMatch(/^(?:|0|root)(?::|$)/);
      expect([service, (await composition.exec(service, 'id', '-u')).output.trim()]).not.toEqual([service, '0']);
      // Files can be written only in the volumes.
      for (const path of ['/x', '/etc/x', '/usr/x', '/app/x', '/settings/x'])
        expect([service, (await composition.exec(service, 'touch', path)).exitCode]).toEqual([service, 1]);
    }
  });

  test('opens one port of this machine, on loopback, and gives nobody but nginx a way out', async () => {
    for (const service of SERVICES) {
      const { HostConfig, NetworkSettings } = await (await composition.container(service)).inspect();
      const open = Object.values((HostConfig.PortBindings ?? {}) as Record<string, { HostIp: string; HostPort: string }[]>).flat();
      expect([service, open]).toEqual([service, service === 'nginx' ? [{ HostIp: '127.0.0.1', HostPort: String(composition.port) }] : []]);
      const networks = Object.keys(NetworkSettings.Networks);
      for (const name of networks.filter((each) => each !== `${composition.project}_edge`)) {
        const network = await composition.client.network.getById(name).inspect();
        expect([name, network.Internal]).toEqual([name, true]);
      }
      expect([service, networks.includes(`${composition.project}_edge`)]).toEqual([service, service === 'nginx']);
    }
  });

  test('lets each part reach only the servers that it works with', async () => {
    const reaches = async (service: Service, host: string, port: number): Promise<boolean> => {
      const script = `require('net').connect({host:'${host}',port:${port},timeout:3000}).on('connect',()=>process.exit(0)).on('error',()=>process.exit(1)).on('timeout',()=>process.exit(1))`;
      return (await composition.exec(service, 'node', '-e', script)).exitCode === 0;
    };
    const parts = ['backend-1', 'log-agent', 'event-worker'] as const;
    const servers = [
      ['postgres', 5432],
      ['nats', 4222],
    ] as const;
    const reached = await Promise.all(parts.map((part) => Promise.all(servers.map(([host, port]) => reaches(part, host, port)))));
    expect(reached).toEqual([
      [true, false],
      [false, true],
      [true, true],
    ]);
    const nginx = await Promise.all(
      ['postgres', 'nats', 'event-worker'].map(
        async (host) => (await composition.exec('nginx', 'curl', '-s', '-m', '3', `http://${host}/`)).exitCode,
      ),
    );
    // curl exits with 6 if the host name does not resolve.
    expect(nginx).toEqual([6, 6, 6]);
  });

  test('keeps secrets in volumes: not in the image, not in what Docker tells, not in logs', async () => {
    const containers = (await composition.compose('ps', '-a', '-q')).trim().split('\n');
    expect(containers.length).toBe(SERVICES.length + 2);
    const exposed = [
      await composition.docker('inspect', ...containers, composition.image),
      await composition.docker('history', '--no-trunc', composition.image),
      await composition.compose('logs', '--no-color'),
    ].join('\n');
    expect(exposed.length).toBeGreaterThan(10_000);
    expect(findSecrets(exposed)).toEqual([]);
    const files = await composition.docker(
      'run',
      '--rm',
      '--entrypoint',
      'find',
      composition.image,
      '/settings',
      '/var/lib/clickledger',
      '-type',
      'f',
    );
    expect(files).toBe('');
  });

  test('shows each container its own secrets alone', async () => {
    const seen = async (service: string) => {
      const { output } = await composition.exec(service, 'sh', '-c', 'cat /settings/* 2>/dev/null');
      return findSecrets(output).toSorted();
    };
    expect(Object.fromEntries(await Promise.all(SERVICES.map(async (service) => [service, await seen(service)] as const)))).toEqual({
      postgres: ['CATALOG_URL'],
      nats: ['AGENT_NATS_URL', 'ANALYST_NATS_URL', 'WORKER_NATS_URL'],
      'event-worker': ['SLUG_KEYS', 'WORKER_NATS_URL', 'WORKER_URL'],
      'backend-1': ['BACKEND_URL', 'SLUG_KEYS'],
      'backend-2': ['BACKEND_URL', 'SLUG_KEYS'],
      nginx: [],
      'log-agent': ['AGENT_NATS_URL'],
    });
  });

  test('rotates the log, and counts it all', async () => {
    const logs = async () => (await composition.exec('nginx', 'ls', '/var/log/clickledger')).output.trim().split('\n');
    const before = (await logs()).length;
    const visiting = startVisiting(letter);
    await eventually('two logs more', async () => (await logs()).length >= before + 2, 90_000);
    await visiting.stop();
    expect(letter.failed).toEqual([]);
    const empty = await composition.exec('nginx', 'find', '/var/log/clickledger', '-name', 'access.log.*', '-size', '0');
    expect(empty.output).toBe('');
    await expectExactlyOnce();
  });

  const seconds = (n: number) => new Promise((resolve) => setTimeout(resolve, n * 1000));

  test.each(['event-worker', 'nats', 'log-agent', 'backend-1', 'postgres'] as const)(
    'with %s killed, and then paused, redirects go on and every hit counts once',
    async (service) => {
      const visiting = startVisiting(letter);
      await seconds(1);
      await signal(service, 'kill');
      await seconds(3);
      await signal(service, 'start');
      await composition.untilHealthy(service);
      await signal(service, 'pause');
      await seconds(5);
      await signal(service, 'unpause');
      await seconds(1);
      await visiting.stop();
      expect(letter.failed).toEqual([]);
      await expectExactlyOnce();
    },
  );

  test('starts a part again that dies', async () => {
    const killProcesses = async (service: Service): Promise<void> => {
      const startedAt = async () => (await (await composition.container(service)).inspect()).State.StartedAt;
      const before = await startedAt();
      // Kills every process but the first one, which then exits.
      await composition.exec(service, 'sh', '-c', 'kill -9 -1').catch(() => {});
      await eventually(`${service} is started again`, async () => (await startedAt()) !== before);
      await composition.untilHealthy(service);
    };
    await Promise.all((['event-worker', 'log-agent', 'backend-2'] as const).map(killProcesses));
    // When a container starts again, Docker mounts its directories in memory anew.
    await (await composition.container('nginx')).restart();
    await composition.untilHealthy('nginx');
  });

  test('is upgraded under load, a part at a time, without a failed redirect and without a lost hit', async () => {
    const { image, docker, compose } = composition;
    const imageOf = async (service: Service) => (await (await composition.container(service)).inspect()).Image;
    const old = await imageOf('backend-1');
    const visiting = startVisiting(letter);
    await docker('build', '--quiet', '--label', 'upgraded=yes', '--tag', image, '.');
    await compose('run', '--rm', '-T', '--no-deps', 'migrate');
    for (const service of ['backend-1', 'backend-2', 'event-worker', 'log-agent'] as const) {
      await compose('up', '--detach', '--no-deps', service);
      await composition.untilHealthy(service);
      expect(await imageOf(service)).not.toBe(old);
    }
    await visiting.stop();
    expect(letter.failed).toEqual([]);
    await expectExactlyOnce();
  });

  test('is taken down and brought up again with its data, its keys and its addresses', async () => {
    await composition.compose('down', '--timeout', '20');
    await composition.compose('up', '--detach');
    await composition.untilHealthy(...SERVICES);
    for (const address of letter.addresses) await visit(letter, address);
    expect(letter.failed).toEqual([]);
    await expectExactlyOnce();
    // This is the last test, so the audit checks the results of all tests. The promise rejects if the audit finds a problem.
    await composition.operator('audit', '--logs', '/var/log/clickledger');
  });
});
