// `npm pack` runs this first: JavaScript and type declarations of everything that a package needs, laid out in dist/ as it is here, so that
// whatever looks for a file beside itself finds it there, too. Node does not run TypeScript inside node_modules.

import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bootstrap.js';

/** What is no program: read or run as it stands. */
const FILES = ['package.json', 'nginx', 'reports', 'sql/catalog', 'sql/shard', 'log-agent/networks.json', 'operating/tail-file.d.ts'];

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), ['--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (status !== 0) process.exit(1);
for (const file of FILES) cpSync(join(root, file), join(dist, file), { recursive: true });
process.stderr.write('clickledger: built dist/\n');
