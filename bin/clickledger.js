#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './bootstrap.js';

// The repository has the TypeScript file, and the package has the JavaScript file that `bin/build.js` creates.
const [file] = ['cli/main.ts', 'dist/cli/main.js'].map((name) => join(root, name)).filter((path) => existsSync(path));
const args = process.argv.slice(2);
// Without these limits, V8 and malloc use more memory as long as the machine has it: `prepare` would need three times as much. Other commands
// do not get them, because `run` is a part, whose service has limits of its own.
const limits = args.includes('prepare')
  ? {
      nodeOptions: ['--max-semi-space-size=8', '--heap-growing-percent=60'],
      env: { MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '1' },
    }
  : {};
run(file, args, limits);
