import type { Command } from 'commander';
import { sizeOf } from '../../core/ranges.ts';
import { audit, AUDIT_SETTINGS } from '../../operating/audit/audit.ts';
import { configOf, type Globals } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('check every promise on the running system; exit code 1 when something is wrong, with what mends it')
    .option('--logs <directory>', 'compare with the logs of this directory, line by line')
    .addHelpText('after', '\nExamples:\n  clickledger audit\n  clickledger audit --logs /var/log/clickledger')
    .action(async (options: { logs?: string }, command: Command) => {
      const { findings, dead, shards } = await audit(await configOf(command, AUDIT_SETTINGS), options.logs);

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
