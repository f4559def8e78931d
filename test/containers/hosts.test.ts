import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '../../operating/status/read-status.ts';
import { eventually } from '../support/servers.ts';
import { missingEngineReason } from './composition.ts';
import { type DockerHost, type DockerHosts, prepareHosts } from './hosts.ts';
import { type Letter, prepareLetter, startVisiting, storedHits, total } from './recipients.ts';

// Tests docker-compose.cluster.yml without changes, with the steps of "Three hosts with Docker" in docs/operators.md: three hosts are set up. Then the
// host with the primary is killed, and the Postgres server of another host is promoted. Then the killed host is started again.

const skipReason = await missingEngineReason();
if (skipReason !== '') process.stderr.write(`test/containers is skipped: ${skipReason}\n`);

let all: DockerHosts;
let letter: Letter;
/** The host of the primary, and of the other standby, after the first host was lost. */
let promoted: DockerHost;
let other: DockerHost;

/** Checks that every answered hit is in the databases exactly once, as the server of a host says. */
async function expectExactlyOnce(host: DockerHost): Promise<void> {
  const stored = (): Promise<Map<string, number>> => storedHits(host).catch(() => new Map());
  await eventually('everything is counted', async () => total(await stored()) >= total(letter.answered), 120_000);
  expect(Object.fromEntries(await storedHits(host))).toEqual(Object.fromEntries(letter.answered));
}

const isStandby = async (host: DockerHost): Promise<boolean> =>
  (await host.sql('postgres', 'SELECT pg_is_in_recovery()').catch(() => []))[0]?.[0] === 't';

/** The number of bytes that a standby has received. */
const receivedBytes = async (host: DockerHost): Promise<number> =>
  Number((await host.sql('postgres', "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"))[0]?.[0]);

const status = async (host: DockerHost): Promise<Status> =>
  // The command exits with 3 if there is a problem.
  JSON.parse(
    await host.compose('run', '--rm', '-T', 'operator', 'status', '--json').catch((error: unknown) => (error as { stdout: string }).stdout),
  ) as Status;

describe.skipIf(skipReason !== '')('three hosts with Docker', () => {
  beforeAll(async () => {
    all = await prepareHosts({ RATE_LIMIT: '100000', RATE_BURST: '100000', ROTATE_MIB: '1', ROTATE_SECONDS: '15' });
    const [first, second, third] = all.hosts;
    await first.compose('run', '--rm', '-T', 'postgres', 'create');
    await Promise.all(all.hosts.map(({ compose }) => compose('up', '-d', '--no-build')));
    await first.untilHealthy('postgres');
    await first.compose('run', '--rm', '-T', 'migrate');
    for (const host of [second, third]) await host.untilHealthy('postgres');
    expect(await Promise.all(all.hosts.map(isStandby))).toEqual([false, true, true]);
    const slugKeys = /^SLUG_KEYS=(.*)$/m.exec(await first.compose('run', '--rm', '-T', '--entrypoint', 'cat', 'operator', '/settings/env'));
    letter = await prepareLetter(
      { desk: all.desk, clickledger: (...args) => first.compose('run', '--rm', '-T', 'clickledger', ...args) },
      slugKeys?.[1] ?? '',
    );
  });
  afterAll(() => all?.remove());

  test('all hosts redirect, and every hit counts once', async () => {
    const [first] = all.hosts;
    await eventually('every host redirects', async () => {
      letter.failed = [];
      const visiting = startVisiting(
        letter,
        all.hosts.map(({ edge }) => edge),
      );
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await visiting.stop();
      return letter.failed.length === 0;
    });
    await expectExactlyOnce(first);
    await eventually('status has no problem', async () => (await status(first)).problems.length === 0, 60_000);
  });

  test('the host of the primary is lost: redirects go on at the others, and every hit of theirs counts once', async () => {
    const [first, second, third] = all.hosts;
    // Hits that are only in the log of the killed host would be counted when it starts again. So all of them are counted before.
    await expectExactlyOnce(first);
    const visiting = startVisiting(letter, [second.edge, third.edge]);
    await first.compose('kill');
    [promoted, other] = (await receivedBytes(second)) >= (await receivedBytes(third)) ? [second, third] : [third, second];
    await promoted.sql('postgres', 'SELECT pg_promote()');
    await expect.poll(() => isStandby(promoted), { timeout: 30_000 }).toBe(false);
    await promoted.compose('run', '--rm', '-T', 'operator', 'restored');
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await visiting.stop();
    expect(letter.failed).toEqual([]);
    await expectExactlyOnce(promoted);
    await eventually('the other standby follows', async () => total(await storedHits(other)) === total(letter.answered), 60_000);
  });

  test('the lost host comes back: its server waits, and becomes a standby with a new volume', async () => {
    const [first] = all.hosts;
    await first.compose('up', '-d', '--no-build');
    await eventually('the former primary says what to do', async () =>
      (await first.compose('logs', 'postgres')).includes('remove its volume'),
    );
    const visiting = startVisiting(
      letter,
      all.hosts.map(({ edge }) => edge),
    );
    await first.compose('rm', '--stop', '--force', 'postgres');
    await first.deleteDatabases();
    await first.compose('up', '-d', '--no-build');
    await eventually('it is a standby', () => isStandby(first), 60_000);
    await visiting.stop();
    expect(letter.failed).toEqual([]);
    await expectExactlyOnce(promoted);
    await eventually('it has all hits', async () => total(await storedHits(first)) === total(letter.answered), 60_000);
    await eventually('status has no problem', async () => (await status(promoted)).problems.length === 0, 60_000);
  });
});
