import { describe, expect, test } from 'vitest';
import { problem } from '../core/health.ts';
import { agentProblems, type AgentState } from './health.ts';
import { ageSeconds } from './lag.ts';

const GIB = 1024 ** 3;
const well: AgentState = {
  degraded: [],
  publishFailure: undefined,
  lag: [],
  disk: { freeBytes: 2 * GIB, sizeBytes: 100 * GIB },
  natsConnected: true,
};
const codes = (view: Partial<AgentState>): string[] => agentProblems({ ...well, ...view }).map(({ code }) => code);
const waiting = (seconds: number) => ({ shard: 'a', unshippedBytes: 1, unconfirmedBytes: 0, oldestMs: Date.now() - seconds * 1000 });

describe('what an agent says of itself', () => {
  test('nothing while all is well', () => {
    expect(codes({})).toEqual([]);
    expect(codes({ disk: undefined, lag: [waiting(59), { ...waiting(0), oldestMs: undefined }] })).toEqual([]);
  });

  test('that hits have waited for more than a minute, and for which shard', () => {
    expect(agentProblems({ ...well, lag: [waiting(90)] })).toMatchObject([{ code: 'agent-behind', about: 'shard a' }]);
  });

  test.each([
    [0.9 * GIB, 100 * GIB, true],
    [1.1 * GIB, 100 * GIB, false],
    // On a small disk, the limit is a twentieth of its size.
    [0.04 * GIB, GIB, true],
    [0.06 * GIB, GIB, false],
    [0, GIB, true],
  ])('of %d bytes left of %d: low %s', (freeBytes, sizeBytes, low) => {
    expect(codes({ disk: { freeBytes, sizeBytes } })).toEqual(low ? ['disk-low'] : []);
  });

  test('without NATS, only that and what does not follow from it', () => {
    const degraded = [problem('ledger-silent', 'shard a'), problem('state-unwritable')];
    expect(codes({ degraded, publishFailure: 'publish-failing' })).toEqual(['ledger-silent', 'state-unwritable', 'publish-failing']);
    expect(codes({ degraded, publishFailure: 'publish-failing', natsConnected: false })).toEqual(['nats-unreachable', 'state-unwritable']);
    expect(codes({ publishFailure: 'stream-full', natsConnected: false })).toEqual(['nats-unreachable', 'stream-full']);
  });

  test('no age is below zero, whatever the clocks say', () => {
    expect(ageSeconds({ oldestMs: Date.now() + 60_000 })).toBe(0);
  });
});
