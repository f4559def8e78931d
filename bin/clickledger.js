#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './bootstrap.js';

// Here it is TypeScript; a package has what `bin/build.js` made of it.
const [file] = ['cli/main.ts', 'dist/cli/main.js'].map((name) => join(root, name)).filter((path) => existsSync(path));
run(file, process.argv.slice(2));
