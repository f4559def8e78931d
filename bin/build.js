// Builds dist/, the content of the package: JavaScript, type declarations and data files. `npm pack` runs this file first. The build is
// needed because Node does not run TypeScript inside node_modules. dist/ has the same layout as the repository, so that code finds files by
// the same relative paths.

import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bootstrap.js';

/** Files and directories that are copied unchanged. */
const FILES = [
  'package.json',
  'nginx',
  'reports',
  'sql/catalog',
  'sql/shard',
  'core/networks.json',
  'core/autonomous-systems.json',
  'log-agent/networks.bin',
  'operating/tail-file.d.ts',
];

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), ['--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (status !== 0) process.exit(1);
for (const file of FILES) cpSync(join(root, file), join(dist, file), { recursive: true });
process.stderr.write('clickledger: built dist/\n');
