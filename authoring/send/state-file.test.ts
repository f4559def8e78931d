import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { temporaryDirectory } from '../../test/support/servers.ts';
import { openSendState, RESULTS, type Result } from './state-file.ts';

const MAILING = { campaign: 2, name: 'Spring sale', letter: 'abc' };

async function newPath(): Promise<string> {
  return join(await temporaryDirectory(), 'letter.sent-2.jsonl');
}

test('what is recorded is known to the next run, whenever the process ends', async () => {
  const directory = await temporaryDirectory();
  const step = fc.record({ recipient: fc.integer({ min: 1, max: 5 }), is: fc.constantFrom('attempt' as const, ...RESULTS) });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 4 }), fc.nat(), async (sessions, cut) => {
      const path = join(directory, `${number++}.jsonl`);
      const model = new Map<number, Result>();
      let run: string | undefined;
      for (const steps of sessions) {
        const state = await openSendState(path, MAILING);
        expect(state.run).toBe((run ??= state.run));
        for (let id = 1; id <= 5; id++) expect(state.of(id)).toBe(model.get(id));
        for (const { recipient, is } of steps) {
          if (is === 'attempt') await state.attempt(recipient);
          else state.record(recipient, is, 'an answer');
          model.set(recipient, is === 'attempt' ? 'unknown' : is);
          expect(state.of(recipient)).toBe(model.get(recipient));
        }
        await state.flush();
        await state.close();
        // A crash of the machine may leave a part of a line.
        await appendFile(path, '{"r":4,"is":"sent","at":"2026-12-01T00:00:00.000Z"}'.slice(0, cut % 50));
      }
    }),
    runs(50),
  );
});

test('an attempt is in the file when its promise resolves', async () => {
  const path = await newPath();
  const state = await openSendState(path, MAILING);
  const attempts = [1, 2, 3].map(async (recipient) => {
    await state.attempt(recipient);
    expect(await readFile(path, 'utf8')).toContain(`{"r":${recipient},"is":"attempt"`);
  });
  await Promise.all(attempts);
  await state.close();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const { size } = await stat(path);
  const next = await openSendState(path, MAILING, { create: false });
  expect([next.recipients('unknown'), next.recipients('sent')]).toEqual([[1, 2, 3], []]);
  expect((await stat(path)).size).toBe(size);
});

test('another campaign, another letter, another file and a damaged line are refused', async () => {
  const path = await newPath();
  await (await openSendState(path, MAILING)).close();
  await expect(openSendState(path, { ...MAILING, campaign: 3 })).rejects.toMatchObject({ code: 'conflict' });
  await expect(openSendState(path, { ...MAILING, name: 'Autumn' })).rejects.toThrow("campaign 'Spring sale', not of 'Autumn'");
  await expect(openSendState(path, { ...MAILING, letter: 'abd' })).rejects.toThrow('another version of this letter');
  await appendFile(path, '{"r":1,"is":"sent"}\n\0\0\n');
  await expect(openSendState(path, MAILING)).rejects.toThrow('is damaged in line 3');
  await writeFile(path, 'email,name\nann@example.com,Ann\n');
  await expect(openSendState(path, MAILING)).rejects.toThrow('is not a file of `clickledger send`');
  await expect(openSendState(join(path, 'x'), MAILING)).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('of two processes that write to one file, no two go on after an attempt', async () => {
  const path = await newPath();
  const [first, second] = [await openSendState(path, MAILING), await openSendState(path, MAILING)];
  await first.attempt(1);
  await expect(second.attempt(1)).rejects.toThrow('another process writes to');
  // The first process sees the line of the second one.
  await expect(first.attempt(2)).rejects.toThrow('another process writes to');
  await Promise.all([first.close(), second.close()]);
});
