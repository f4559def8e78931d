#!/usr/bin/env node
import { join } from 'node:path';
import { root, run } from './bootstrap.js';

run(join(root, 'cli', 'main.ts'), process.argv.slice(2));
