import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LONG_TESTS } from './test/long/vitest.config.ts';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.cache/**', 'dist/**', 'test/containers/**', ...LONG_TESTS],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Tests wait for servers and parts about half of the time. The Postgres cluster that they share has 200 connections.
    maxWorkers: Math.min(2 * availableParallelism(), 6),
    // Node loads the files without Vite, as it does when a part starts. It caches the compiled files, so loading takes half the time.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    sequence: { sequencer: LongestFirst },
    // So many tests at a time may each be slow on a machine that is busy with other work.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
});
