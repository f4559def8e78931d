import { defineConfig } from 'vitest/config';

// Apart from the other tests, since it needs a Docker engine and images, and the machine for itself.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.test.ts'],
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 600_000,
    reporters: ['default', '../support/count-reporter.ts'],
  },
});
