import type { Command } from 'commander';
import { sizeOf } from '../../core/ranges.ts';
import { audit, AUDIT_SETTINGS } from '../../operating/audit/audit.ts';
import { configOf, type GlobalOptions, throwExplained } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('check the stored events of a running system; exit code 1 if there is a problem')
    .option('--logs <directory...>', 'also compare the events with the logs of these directories, line by line')
    .addHelpText(
      'after',
      `
Finds events that are stored twice, events outside the ledger, and holes: bytes of logs that a shard lacks. With --logs, it also finds counts
that differ from the logs. Prints what to do about each problem. Changes nothing.

It also lists the logs that are not finished and are not in the directories of --logs, with the number of their bytes that are counted and the time
of the last commit. If the host of such a log is lost with its disk, what nginx logged there later is lost. If LOG_MIRROR has a copy, give its
directory with --logs. The audit then shows how many bytes are missing, and \`clickledger ship\` counts the hits in them.

Examples:
  clickledger audit
  clickledger audit --logs /var/log/clickledger
  clickledger audit --logs /mnt/mirror/edge-1 --logs /mnt/mirror/edge-2`,
    )
    .action(async (options: { logs?: string[] }, command: Command) => {
      const { findings, dead, unfinished, shards } = await audit(await configOf(command, AUDIT_SETTINGS), options.logs).catch(
        throwExplained,
      );

      if (command.optsWithGlobals<GlobalOptions>().json) {
        printJson({
          findings,
          dead,
          unfinished,
          generations: shards.flatMap(({ shard, generations }) => generations.map((g) => ({ shard, ...g }))),
        });
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
        if (unfinished.length > 0) {
          note('\nLogs that are not finished and were not given. If the host of one is lost with its disk, later hits in it are lost:');
          printTable(
            ['generation', 'counted bytes', 'last commit'],
            unfinished.map(({ gen, bytes, until }) => [gen, bytes, until.toISOString().slice(0, 19).replace('T', ' ')]),
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
