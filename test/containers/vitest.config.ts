import { defineConfig } from 'vitest/config';

// These tests run separately from the others, because they need a Docker engine, images, and the whole machine.
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
