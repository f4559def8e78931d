import { type Command, Option } from 'commander';
import { ACCOUNT_ROLES, type AccountRole, parseAccountName } from '../../core/account.ts';
import { checkNewPassword } from '../../core/password.ts';
import type { Pool } from '../../core/postgres.ts';
import {
  type ChangedAccount,
  createAccount,
  disableAccount,
  enableAccount,
  endSessions,
  listAccounts,
  listSessions,
  setPassword,
  setRole,
} from '../../operating/accounts.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';
import { readPassword } from '../read-password.ts';

// The command `user`: manages the accounts of the people who use the desk.

interface PasswordOptions {
  passwordFile?: string;
  /** False with --no-password. */
  password: boolean;
}

const ROLE_HELP = 'analyst: pages and reports; author: also changes campaigns; owner: also accounts, keys and the log';

export function addUser(program: Command): void {
  const user = program.command('user').description('manage the accounts of the people who use the desk');

  withPasswordOptions(user.command('add <name>').description('add an account, by a mail address or another name'))
    .addOption(new Option('--role <role>', ROLE_HELP).choices(ACCOUNT_ROLES).makeOptionMandatory())
    .addHelpText(
      'after',
      `
The first account turns on the sign-in of the desk. The password is asked for on the terminal. Without a password, the account signs in by
OpenID Connect or by the header of a proxy.

Examples:
  clickledger user add ann@example.org --role owner
  clickledger user add bob@example.org --role analyst --no-password
  clickledger user add board --role analyst --password-file board.txt`,
    )
    .action(async (name: string, options: PasswordOptions & { role: AccountRole }, command: Command) => {
      parseAccountName(name);
      const password = await passwordOf(options);
      await run(
        command,
        (pool) => createAccount(pool, name, options.role, password),
        (account) => `account '${account.name}' is added`,
      );
    });

  user
    .command('list')
    .description('list all accounts with their last use')
    .addHelpText('after', '\nExample:\n  clickledger user list')
    .action(async (_options: object, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const accounts = await withPool(CATALOG_URL, listAccounts);
      if (isJson(command)) return printJson(accounts);
      printTable(
        ['name', 'role', 'password', 'sessions', 'created', 'last used', 'disabled'],
        accounts.map((a) => [
          a.name,
          a.role,
          a.has_password ? 'yes' : 'no',
          a.sessions,
          shortTime(a.created_at),
          shortTime(a.last_used_at),
          shortTime(a.disabled_at),
        ]),
      );
    });

  user
    .command('set-role <name>')
    .description('change what an account may do, from its next request')
    .addOption(new Option('--role <role>', ROLE_HELP).choices(ACCOUNT_ROLES).makeOptionMandatory())
    .addHelpText('after', '\nExample:\n  clickledger user set-role bob@example.org --role author')
    .action((name: string, { role }: { role: AccountRole }, command: Command) =>
      run(
        command,
        (pool) => setRole(pool, name, role),
        (account) => `account '${account.name}' has the role ${role}`,
      ),
    );

  withPasswordOptions(user.command('set-password <name>').description('set the password of an account, and end all its sessions'))
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger user set-password ann@example.org\n  clickledger user set-password bob@example.org --no-password',
    )
    .action(async (name: string, options: PasswordOptions, command: Command) => {
      const password = await passwordOf(options);
      await run(
        command,
        (pool) => setPassword(pool, name, password),
        (account) => `account '${account.name}' has ${password === undefined ? 'no' : 'a new'} password, and its sessions are ended`,
      );
    });

  user
    .command('disable <name>')
    .description('disable an account, and end all its sessions')
    .addHelpText('after', '\nExample:\n  clickledger user disable bob@example.org')
    .action((name: string, _options: object, command: Command) =>
      run(
        command,
        (pool) => disableAccount(pool, name),
        (account) => `account '${account.name}' is disabled`,
      ),
    );

  user
    .command('enable <name>')
    .description('enable an account that was disabled')
    .addHelpText('after', '\nExample:\n  clickledger user enable bob@example.org')
    .action((name: string, _options: object, command: Command) =>
      run(
        command,
        (pool) => enableAccount(pool, name),
        (account) => `account '${account.name}' is enabled`,
      ),
    );

  user
    .command('sessions <name>')
    .description('list the sessions of an account')
    .addHelpText('after', '\nExample:\n  clickledger user sessions ann@example.org')
    .action(async (name: string, _options: object, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const sessions = await withPool(CATALOG_URL, (pool) => listSessions(pool, name));
      if (isJson(command)) return printJson(sessions);
      printTable(
        ['id', 'created', 'last used', 'ends'],
        sessions.map((s) => [s.id, shortTime(s.created_at), shortTime(s.last_used_at), shortTime(s.expires_at)]),
      );
    });

  user
    .command('end-sessions <name>')
    .description('end all sessions of an account, which then has to sign in again')
    .addHelpText('after', '\nExample:\n  clickledger user end-sessions ann@example.org')
    .action((name: string, _options: object, command: Command) =>
      run(
        command,
        (pool) => endSessions(pool, name),
        ({ ended }) => `${ended} ${ended === 1 ? 'session is' : 'sessions are'} ended`,
      ),
    );
}

function withPasswordOptions(command: Command): Command {
  return command
    .option('--password-file <file>', 'read the password from a file, or from stdin with -')
    .option('--no-password', 'no password: sign in by OpenID Connect or by the header of a proxy');
}

/** Returns undefined for an account without a password. Checks the password before the database is asked. */
async function passwordOf({ password, passwordFile }: PasswordOptions): Promise<string | undefined> {
  if (!password) return undefined;
  const given = await readPassword(passwordFile);
  checkNewPassword(given);
  return given;
}

/** Makes a change, and prints the account that was changed. */
async function run<T extends ChangedAccount>(
  command: Command,
  work: (pool: Pool) => Promise<T>,
  words: (account: T) => string,
): Promise<void> {
  const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
  const changed = await withPool(CATALOG_URL, work);
  if (isJson(command)) printJson(changed);
  else note(words(changed));
}

const isJson = (command: Command): boolean => command.optsWithGlobals<GlobalOptions>().json === true;
