import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentBench } from './agent.ts';
import { costsBench } from './costs.ts';
import { flatBench } from './flat.ts';
import { createFixture } from './fixture.ts';
import { forwarderBench } from './forwarder.ts';
import { growthBench } from './growth.ts';
import { kindsBench } from './kinds.ts';
import { memoryFigures } from './memory.ts';
import { pipeBench } from './pipe.ts';
import { pixelBench } from './pixel.ts';
import { prepareBench } from './prepare.ts';
import { redirectsBench } from './redirects.ts';
import { relayBench } from './relay.ts';
import { reportsBench } from './reports.ts';
import type { Bench, Figure } from './figure.ts';
import { printFigures } from './figure.ts';
import { workerBench } from './worker.ts';
import { messageOf } from '../core/errors.ts';

// `npm run bench [-- NAME…] [--json]` runs the benches one after the other, each on its own servers, and then prints the table.

const benches: Record<string, Bench> = {
  redirects: redirectsBench,
  pixel: pixelBench,
  agent: agentBench,
  worker: workerBench,
  pipe: pipeBench,
  flat: flatBench,
  kinds: kindsBench,
  prepare: prepareBench,
  relay: relayBench,
  forwarder: forwarderBench,
  reports: reportsBench,
  growth: growthBench,
  costs: costsBench,
};

const args = process.argv.slice(2);
const json = args.includes('--json');
const named = args.filter((arg) => arg !== '--json');
const unknown = named.filter((name) => !(name in benches));
if (unknown.length > 0) {
  process.stderr.write(`there is no bench '${unknown[0]}'. Choose from: ${Object.keys(benches).join(', ')}\n`);
  process.exit(2);
}

const directory = await mkdtemp(join(tmpdir(), 'clickledger-bench-'));
// The servers end when this process ends. A server that still runs may write to the directory while it is removed, so the removal is retried.
process.on('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

const progress = (text: string): void => void process.stderr.write(`${text}\n`);
const [load = 0] = loadavg();
if (load > 0.5)
  progress(
    `the machine is busy (load average ${load.toFixed(1)} on ${availableParallelism()} cores): the figures will be low and the ratios will vary`,
  );
const fixture = createFixture(join(directory, 'fixture'), progress);
const figures: Figure[] = [];
try {
  for (const name of named.length > 0 ? named : Object.keys(benches)) {
    const startedMs = performance.now();
    progress(`── ${name}`);
    figures.push(...(await (benches[name] as Bench)({ directory: join(directory, name), fixture, progress })));
    progress(`   ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  }
  printFigures([...figures, ...memoryFigures()], json);
} catch (error) {
  progress(`failed: ${messageOf(error)}`);
  process.exitCode = 1;
}
