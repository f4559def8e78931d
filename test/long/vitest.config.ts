import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * Tests that take minutes: clusters of NATS servers that lose stores and disks, backups, upgrades of servers, load, and a model of every kind of
 * receiver. They are not part of `npm test`.
 */
export const LONG_TESTS = ['test/long/*.test.ts', 'test/pressure/*.test.ts', 'test/export/once.test.ts'];

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: LONG_TESTS,
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
});
