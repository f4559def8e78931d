import type { Command } from 'commander';
import { explainVerdict } from '../../reporting/explain-verdict.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

// The command `why`: explains the verdict of one hit.

export function addWhy(program: Command): void {
  program
    .command('why <request-id>')
    .description('explain why a hit was judged as made by a person or a machine')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .addHelpText(
      'after',
      '\nThe request id is in the column request_id of analytics.events, and in the field rid of the access log. The command reads all hits until it\nfinds this one, so it takes seconds for millions of hits.\n\nExample:\n  clickledger why 0123456789abcdef0123456789abcdef',
    )
    .action(async (requestId: string, options: { timeout: number }, command: Command) => {
      const config = await configOf(command, ['ANALYST_URL', 'TIMEZONE']);
      const limits = { timeoutSeconds: options.timeout, zone: config.TIMEZONE || 'UTC' };
      const found = await withPool(config.ANALYST_URL, (pool) => explainVerdict(pool, requestId, limits));
      if (command.optsWithGlobals<GlobalOptions>().json) return printJson(found);
      const { at, kind, campaign_id, link_id, recipient_id, network, network_kind, verdict, rules, current_rules } = found;
      const recipient = recipient_id === null ? 'a shared link' : `recipient ${recipient_id}`;
      const from = network === null ? '' : `, from the network ${network}${network_kind === null ? '' : ` (${network_kind})`}`;
      note(`${kind} of ${recipient} on link ${link_id} of campaign ${campaign_id} at ${at.toISOString()}${from}`);
      note(
        `verdict: ${verdict}${rules === current_rules ? '' : `, by version ${rules} of the rules; the weights are those of version ${current_rules}`}`,
      );
      printTable(
        ['signal', 'weight', 'what', 'source'],
        [
          ...found.signals.map(({ signal, weight, what, source }) => [signal, weight, what, source]),
          ['sum', found.weight, `unsure from ${found.unsure_from}, a machine's from ${found.machine_from}`, ''],
        ],
      );
      for (const change of found.would_change) note(change);
    });
}
