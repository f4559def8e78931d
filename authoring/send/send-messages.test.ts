import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseSmtpUrl } from '../../core/smtp-url.ts';
import { type Fault, type MailServerOptions, startMailServer, STEPS, type Step } from '../../test/support/mail-server.ts';
import { runs } from '../../test/support/runs.ts';
import { eventually, temporaryDirectory } from '../../test/support/servers.ts';
import { type Job, type RunEnd, type SendOptions, sendMessages } from './send-messages.ts';
import { createSmtpClient } from './smtp-client.ts';
import { openSendState, type Result } from './state-file.ts';

// Tests whole runs against a real server with faults. The server counts the messages of each person.

const addressOf = (recipient: number): string => `p${recipient}@example.com`;
const FAST = { connectMs: 10_000, silenceMs: 10_000 };

interface RunOptions extends Partial<SendOptions> {
  connections?: number;
  /** Who gets a message although an earlier run may have sent it. */
  retryUnknown?: boolean;
}

/** Runs once over the people 1 to `count`, as the command does. */
async function run(path: string, port: number, count: number, options: RunOptions = {}) {
  const state = await openSendState(path, { campaign: 1, name: 'c', letter: 'l' });
  const clients = Array.from({ length: options.connections ?? 1 }, () => createSmtpClient(parseSmtpUrl(`smtp://127.0.0.1:${port}`), FAST));
  const results: [string, Result][] = [];
  async function* jobs(): AsyncGenerator<Job> {
    for (let recipient = 1; recipient <= count; recipient++) {
      const known = state.of(recipient);
      if (known === 'sent' || known === 'refused' || (known === 'unknown' && !options.retryUnknown)) continue;
      yield {
        recipient,
        from: 'news@shop.example',
        to: addressOf(recipient),
        compose: async () => Buffer.from(`Subject: ${recipient}\r\n\r\nx\r\n`),
      };
    }
  }
  try {
    const end: RunEnd = await sendMessages(jobs(), state, {
      clients,
      intervalMs: 0,
      max: Number.POSITIVE_INFINITY,
      retryMs: [0, 0],
      serverMs: [0, 0, 0, 0],
      signal: new AbortController().signal,
      onResult: ({ to }, result) => results.push([to, result]),
      ...options,
    });
    const known = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [addressOf(i + 1), state.of(i + 1)]).filter(([, result]) => result !== undefined),
    ) as Record<string, Result>;
    return { end, results, known };
  } finally {
    await state.close();
    for (const client of clients) client.close();
  }
}

async function setUp(options: MailServerOptions = {}) {
  const server = await startMailServer(options);
  return { server, path: join(await temporaryDirectory(), 'state.jsonl') };
}

const everybody = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [addressOf(i + 1), 1]));

test('everybody gets one message, over several connections, and a second run sends nothing', async () => {
  const { server, path } = await setUp();
  const first = await run(path, server.port, 40, { connections: 4 });
  expect(first.end).toEqual({ why: 'all' });
  expect(first.results).toHaveLength(40);
  expect(server.counts()).toEqual(everybody(40));
  expect(server.maxSessions()).toBe(4);
  const second = await run(path, server.port, 41, { connections: 4 });
  expect(second.results).toEqual([[addressOf(41), 'sent']]);
  expect(server.counts()).toEqual(everybody(41));
});

test('refused people are recorded and not tried again, deferred ones are', async () => {
  let isBusy = true;
  const { server, path } = await setUp({
    fault: (step, to) => {
      if (step !== 'rcpt') return undefined;
      if (to === addressOf(2)) return { code: 550, text: '5.1.1 no such user' };
      return to === addressOf(3) && isBusy ? { code: 450 } : undefined;
    },
  });
  const { end, results } = await run(path, server.port, 4);
  expect(end).toEqual({ why: 'all' });
  expect(Object.fromEntries(results)).toEqual({
    [addressOf(1)]: 'sent',
    [addressOf(2)]: 'refused',
    [addressOf(3)]: 'deferred',
    [addressOf(4)]: 'sent',
  });
  expect(results).toHaveLength(4);
  isBusy = false;
  expect((await run(path, server.port, 4)).results).toEqual([[addressOf(3), 'sent']]);
});

test('a person whom the server defers at first is tried again in the same run', async () => {
  const tries: Record<string, number> = {};
  const { server, path } = await setUp({
    fault(step, to) {
      if (step !== 'rcpt') return undefined;
      tries[to] = (tries[to] ?? 0) + 1;
      return tries[to] < 3 ? { code: 451, text: '4.7.1 greylisted' } : undefined;
    },
  });
  expect((await run(path, server.port, 6, { connections: 2 })).end).toEqual({ why: 'all' });
  expect(server.counts()).toEqual(everybody(6));
});

test('a server that limits the rate with 4xx to MAIL gets everybody in the end', async () => {
  let mails = 0;
  const { server, path } = await setUp({
    fault: (step) => (step === 'mail' && ++mails % 3 === 0 ? { code: 451, text: 'too many' } : undefined),
  });
  expect((await run(path, server.port, 20, { connections: 3 })).end).toEqual({ why: 'all' });
  expect(server.counts()).toEqual(everybody(20));
});

describe('the run stops', () => {
  test('if the server refuses the sender, and nobody is recorded as refused', async () => {
    const { server, path } = await setUp({ fault: (step) => (step === 'mail' ? { code: 553, text: 'not your address' } : undefined) });
    const { end, known } = await run(path, server.port, 5, { connections: 2 });
    expect(end).toMatchObject({ why: 'failed', error: { code: 'unavailable', message: expect.stringContaining('553 not your address') } });
    expect(known).toEqual({});
  });

  test('if the server takes no messages any more, and the next run sends the rest', async () => {
    let isDown = false;
    const { server, path } = await setUp({
      fault: (step) => {
        if (step === 'answered') isDown = server.stored.length >= 5;
        return isDown && (step === 'mail' || step === 'connect') ? { code: 421 } : undefined;
      },
    });
    const { end, known } = await run(path, server.port, 12);
    expect(end).toMatchObject({ why: 'failed', error: { message: expect.stringContaining('Run the same command again') } });
    expect(Object.values(known).filter((result) => result === 'sent')).toHaveLength(5);
    isDown = false;
    server.stored.splice(0, 5);
    await run(path, server.port, 12, { max: 4 });
    expect(server.stored).toHaveLength(4);
  });

  test('if the server refuses the first people one after the other', async () => {
    const { server, path } = await setUp({ fault: (step) => (step === 'rcpt' ? { code: 554, text: 'relay access denied' } : undefined) });
    const { end, results } = await run(path, server.port, 100);
    expect(end).toMatchObject({
      why: 'failed',
      error: { message: expect.stringMatching(/the first 20 people.*relay access denied.*--retry-refused/) },
    });
    expect(results).toHaveLength(20);
  });

  test('if the server takes every message and never answers', async () => {
    const { server, path } = await setUp({ fault: (step) => (step === 'stored' ? 'die' : undefined) });
    const { end, known } = await run(path, server.port, 100);
    expect(end).toMatchObject({ why: 'failed', error: { message: expect.stringContaining('without an answer') } });
    expect(Object.values(known)).toEqual(Array(4).fill('unknown'));
    expect(server.stored).toHaveLength(4);
  });

  test('after the messages that are being sent, if it is asked to', async () => {
    const stop = new AbortController();
    const { server, path } = await setUp({
      fault: () => {
        if (server.stored.length === 3) stop.abort();
        return undefined;
      },
    });
    const { end, known } = await run(path, server.port, 50, { signal: stop.signal, connections: 2 });
    expect(end).toEqual({ why: 'stopped' });
    expect(server.stored.length).toBeLessThan(6);
    expect(known).toEqual(Object.fromEntries(server.stored.map(({ to }) => [to, 'sent'])));
    expect((await run(path, server.port, 50)).end).toEqual({ why: 'all' });
    expect(server.counts()).toEqual(everybody(50));
  });

  test('while it waits for a deferred person', async () => {
    const stop = new AbortController();
    const { server, path } = await setUp({ fault: (step) => (step === 'rcpt' ? { code: 450 } : undefined) });
    const ended = run(path, server.port, 1, { signal: stop.signal, retryMs: [3_600_000] });
    await eventually('the person is deferred', async () => (await readFile(path, 'utf8').catch(() => '')).includes('deferred'));
    stop.abort();
    expect(await ended).toMatchObject({ end: { why: 'stopped' }, results: [[addressOf(1), 'deferred']] });
  });

  test('at the limit, and says whether somebody is left', async () => {
    const { server, path } = await setUp();
    expect((await run(path, server.port, 5, { max: 3 })).end).toEqual({ why: 'max' });
    expect((await run(path, server.port, 5, { max: 2 })).end).toEqual({ why: 'all' });
    expect(server.counts()).toEqual(everybody(5));
  });
});

test('whatever the server does, nobody gets two messages, and only people who are listed get none', async () => {
  const directory = await temporaryDirectory();
  let number = 0;
  const fault = fc.oneof(
    { weight: 2, arbitrary: fc.constant('die' as const) },
    { weight: 1, arbitrary: fc.constantFrom(421, 450, 452, 550, 554).map((code) => ({ code })) },
  );
  // The nth time that the server comes to a step, it has this fault.
  const faults = fc.array(fc.record({ step: fc.constantFrom(...STEPS), after: fc.nat(6), fault }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(faults, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 14 }), async (schedule, connections, count) => {
      const seen: Partial<Record<Step, number>> = {};
      let isHealthy = false;
      const server = await startMailServer({
        fault(step): Fault | undefined {
          if (isHealthy) return undefined;
          const n = (seen[step] = (seen[step] ?? 0) + 1);
          const found = schedule.find((each) => each.step === step && each.after + 1 === n)?.fault;
          // There is no answer that could fail after a message is stored.
          return step === 'stored' || step === 'answered' ? found && 'die' : found;
        },
      });
      const path = join(directory, `${number++}.jsonl`);
      let last = await run(path, server.port, count, { connections });
      // A refusal of the sender stops a run.
      for (let i = 0; i < 5 && last.end.why === 'failed'; i++) last = await run(path, server.port, count, { connections });
      isHealthy = true;
      last = await run(path, server.port, count, { connections });
      expect(last.end).toEqual({ why: 'all' });
      const counts = server.counts();
      for (let recipient = 1; recipient <= count; recipient++) {
        const got = counts[addressOf(recipient)] ?? 0;
        const known = last.known[addressOf(recipient)];
        expect([recipient, known, got]).toEqual([
          recipient,
          known,
          known === 'sent' ? 1 : known === 'unknown' ? expect.toSatisfy((n) => n <= 1) : 0,
        ]);
        expect(known).not.toBeUndefined();
        expect(known).not.toBe('deferred');
      }
      await run(path, server.port, count, { connections, retryUnknown: true });
      const after = server.counts();
      for (let recipient = 1; recipient <= count; recipient++) {
        const address = addressOf(recipient);
        const again = last.known[address] === 'unknown' ? 1 : 0;
        expect([address, after[address] ?? 0]).toEqual([address, (counts[address] ?? 0) + again]);
      }
      await server.close();
    }),
    runs(40),
  );
}, 240_000);

test('an error that is no fault of the server stops all connections, and what was sent is recorded', async () => {
  const { server, path } = await setUp();
  const state = await openSendState(path, { campaign: 1, name: 'c', letter: 'l' });
  onTestFinished(() => state.close());
  const clients = [1, 2].map(() => createSmtpClient(parseSmtpUrl(`smtp://127.0.0.1:${server.port}`), FAST));
  async function* jobs(): AsyncGenerator<Job> {
    for (let recipient = 1; recipient <= 20; recipient++)
      yield {
        recipient,
        from: 'news@shop.example',
        to: addressOf(recipient),
        compose: async () => {
          if (recipient === 6) throw new Error('no such column');
          return Buffer.from('x');
        },
      };
  }
  const options = { clients, intervalMs: 0, max: 100, retryMs: [], serverMs: [], signal: new AbortController().signal, onResult: () => {} };
  await expect(sendMessages(jobs(), state, options)).rejects.toThrow('no such column');
  for (const client of clients) client.close();
  expect(server.stored.length).toBeLessThan(10);
  const next = await openSendState(path, { campaign: 1, name: 'c', letter: 'l' }, { create: false });
  expect(next.recipients('sent').map(addressOf).toSorted()).toEqual(Object.keys(server.counts()).toSorted());
});
