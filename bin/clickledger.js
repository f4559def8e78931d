#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './bootstrap.js';

// The repository has the TypeScript file, and the package has the JavaScript file that `bin/build.js` creates.
const [file] = ['cli/main.ts', 'dist/cli/main.js'].map((name) => join(root, name)).filter((path) => existsSync(path));
run(file, process.argv.slice(2));
