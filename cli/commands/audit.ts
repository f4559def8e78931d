import type { Command } from 'commander';
import { shardUrl } from '../../core/shards.ts';
import { sizeOf } from '../../core/ranges.ts';
import { bytesAt, judge, type LogAudit, readLogDirectory, readShard, type ShardAudit } from '../../operating/audit.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('check every promise on the running system; exit code 1 when something is wrong, with what mends it')
    .option('--logs <directory>', 'compare with the logs of this directory, line by line')
    .addHelpText('after', '\nExamples:\n  clickledger audit\n  clickledger audit --logs /var/log/clickledger')
    .action(async (options: { logs?: string }, command: Command) => {
      const config = await configOf(command, ['ANALYST_URL', 'SHARDS']);
      // Logs first: what is committed afterwards can only be more.
      const directory = options.logs === undefined ? undefined : await readLogDirectory(options.logs, config.SHARDS);
      const shards: ShardAudit[] = [];
      for (const shard of config.SHARDS.list)
        shards.push(await withPool(shardUrl(shard, config.ANALYST_URL), (pool) => readShard(pool, shard)));
      const findings = judge(shards, directory?.logs, config.SHARDS.first.name);
      const dead = await deadLetters(shards, directory?.logs);
      await directory?.close();

      if (command.optsWithGlobals<Globals>().json) {
        printJson({ findings, dead, generations: shards.flatMap(({ shard, generations }) => generations.map((g) => ({ shard, ...g }))) });
      } else {
        const rows = shards.flatMap(({ shard, generations }) =>
          generations.map((g) => [g.gen, shard, g.size, sizeOf(g.committed), g.committed.length]),
        );
        printTable(['generation', 'shard', 'size', 'committed bytes', 'stretches'], rows);
        if (dead.length > 0) {
          note('\nlines that could not be read:');
          printTable(
            ['shard', 'generation', 'offset', 'reason', 'line'],
            dead.map((d) => [d.shard, d.gen, d.off, d.reason, d.line]),
          );
        }
        note(findings.length === 0 ? '\nnothing is wrong' : '\nwrong:');
        if (findings.length > 0)
          printTable(
            ['shard', 'generation', 'what', 'what mends it'],
            findings.map((f) => [f.shard, f.gen, f.what, f.mend]),
          );
      }
      if (findings.length > 0) process.exitCode = 1;
    });
}

/** Dead letters with the line itself, where its log is at hand. */
async function deadLetters(
  shards: readonly ShardAudit[],
  logs: ReadonlyMap<string, LogAudit> | undefined,
): Promise<{ shard: string; gen: string; off: number; reason: string; line: string | null }[]> {
  const letters = [];
  for (const { shard, dead } of shards) {
    for (const { gen, off, reason, length } of dead) {
      const bytes = logs && length > 0 ? await bytesAt(logs, gen, off, length) : undefined;
      letters.push({ shard, gen, off, reason, line: bytes ? JSON.stringify(bytes.toString('latin1', 0, 80)).slice(1, -1) : null });
    }
  }
  return letters;
}
