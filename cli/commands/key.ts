import { type Command, InvalidArgumentError, Option } from 'commander';
import { KEY_ROLES, type KeyRole } from '../../core/api-key.ts';
import { createKey, listKeys, readAuditLog, revokeKey } from '../../operating/api-keys.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';

// The command `key`: creates, lists and revokes the keys of the HTTP API, and shows what was changed with them.

export function addKey(program: Command): void {
  const key = program.command('key').description('manage the keys of the HTTP API');

  key
    .command('create <name>')
    .description('create a key and print it; it is shown only now')
    .addOption(
      new Option('--role <role>', 'author: campaigns, links, recipients, letters; analyst: reports')
        .choices(KEY_ROLES)
        .makeOptionMandatory(),
    )
    .option('--rate <number>', 'how many requests per second the key may make; for a short time twice as many', parsePositive, 20)
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger key create shop --role author\n  clickledger key create board --role analyst --rate 5',
    )
    .action(async (name: string, { role, rate }: { role: KeyRole; rate: number }, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const created = await withPool(CATALOG_URL, (pool) => createKey(pool, name, role, rate));
      if (command.optsWithGlobals<GlobalOptions>().json) return printJson({ id: created.id, name, role, rate, key: created.key });
      process.stdout.write(`${created.key}\n`);
      note('Store this key now: it is not shown again.');
    });

  key
    .command('list')
    .description('list all keys with their last use, without their secrets')
    .addHelpText('after', '\nExample:\n  clickledger key list')
    .action(async (_options: object, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const keys = await withPool(CATALOG_URL, listKeys);
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(keys);
      else
        printTable(
          ['id', 'name', 'role', 'rate', 'created', 'last used', 'revoked'],
          keys.map((k) => [k.id, k.name, k.role, k.rate, shortTime(k.created_at), shortTime(k.last_used_at), shortTime(k.revoked_at)]),
        );
    });

  key
    .command('revoke <key>')
    .description('revoke a key by its name or its id, with effect from the next request')
    .addHelpText('after', '\nExamples:\n  clickledger key revoke shop\n  clickledger key revoke 0123456789ab')
    .action(async (nameOrId: string, _options: object, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const revoked = await withPool(CATALOG_URL, (pool) => revokeKey(pool, nameOrId));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(revoked);
      else note(`key '${revoked.name}' is revoked`);
    });

  key
    .command('log')
    .description('print what was changed by the HTTP API and on the desk, and which keys and accounts were changed, the latest first')
    .option('--limit <number>', 'how many rows to print', parsePositive, 100)
    .addHelpText('after', '\nExamples:\n  clickledger key log\n  clickledger key log --limit 1000 --json')
    .action(async ({ limit }: { limit: number }, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const rows = await withPool(CATALOG_URL, (pool) => readAuditLog(pool, limit));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(rows);
      else
        printTable(
          ['at', 'key', 'account', 'action', 'object', 'status', 'details'],
          rows.map((row) => [
            shortTime(row.at),
            row.key ?? '',
            row.account ?? '',
            row.action,
            row.object,
            row.status ?? '',
            JSON.stringify(row.details),
          ]),
        );
    });
}

function parsePositive(text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return number;
}
