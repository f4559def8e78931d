import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests that take minutes: clusters of NATS servers that lose stores and disks, backups, and upgrades of servers. They are not part of `npm test`.
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/long/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
});
