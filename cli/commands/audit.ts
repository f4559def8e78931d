import type { Command } from 'commander';
import { sizeOf } from '../../core/ranges.ts';
import { audit, AUDIT_SETTINGS } from '../../operating/audit/audit.ts';
import { configOf, type GlobalOptions, throwExplained } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('check the stored events of a running system; exit code 1 if there is a problem')
    .option('--logs <directory>', 'also compare the events with the logs of this directory, line by line')
    .addHelpText(
      'after',
      `
Finds events that are stored twice, events outside the ledger, and holes: bytes of logs that a shard lacks. With --logs, it also finds counts
that differ from the logs. Prints what to do about each problem. Changes nothing.

Examples:
  clickledger audit
  clickledger audit --logs /var/log/clickledger`,
    )
    .action(async (options: { logs?: string }, command: Command) => {
      const { findings, dead, shards } = await audit(await configOf(command, AUDIT_SETTINGS), options.logs).catch(throwExplained);

      if (command.optsWithGlobals<GlobalOptions>().json) {
        printJson({ findings, dead, generations: shards.flatMap(({ shard, generations }) => generations.map((g) => ({ shard, ...g }))) });
      } else {
        const rows = shards.flatMap(({ shard, generations }) =>
          generations.map((g) => [g.gen, shard, g.size, sizeOf(g.committed), g.committed.length]),
        );
        printTable(['generation', 'shard', 'size', 'committed bytes', 'ranges'], rows);
        if (dead.length > 0) {
          note('\nDead letters (lines that could not be read):');
          printTable(
            ['shard', 'generation', 'offset', 'reason', 'line'],
            dead.map((d) => [d.shard, d.gen, d.off, d.reason, d.line]),
          );
        }
        note(findings.length === 0 ? '\nno problems found' : '\nProblems:');
        if (findings.length > 0)
          printTable(
            ['shard', 'generation', 'problem', 'what to do'],
            findings.map((f) => [f.shard, f.gen, f.what, f.mend]),
          );
      }
      if (findings.length > 0) process.exitCode = 1;
    });
}
