// `npm run check`: checks format, lint rules, types and dead code. Runs all four checks, even if one of them fails.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './bootstrap.js';

const steps = [
  ['format', 'biome', 'format', '.'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['types', 'tsc', '--noEmit'],
  ['types of the script', 'tsc', '--noEmit', '--project', 'site'],
  ['dead code', 'knip', '--no-progress'],
];

let failed = 0;
for (const [name, tool, ...args] of steps) {
  process.stdout.write(`── ${name}\n`);
  const { status } = spawnSync(join(root, 'node_modules', '.bin', tool), args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) failed++;
}
process.stdout.write(failed === 0 ? 'all checks passed\n' : `${failed} of ${steps.length} checks failed\n`);
process.exit(failed === 0 ? 0 : 1);
