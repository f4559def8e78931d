import { type Command, Option } from 'commander';
import type { Database } from '../../authoring/campaigns.ts';
import { resolveAddressees } from '../../authoring/addressees.ts';
import { openPeople, type PeopleFile } from '../../authoring/list-file.ts';
import {
  copyFlagsToShards,
  findRecipient,
  forget,
  type ListedRecipient,
  listRecipients,
  type RecipientSelector,
  resubscribe,
  setOptedOut,
  setTest,
} from '../../authoring/recipients.ts';
import { csvRow } from '../../core/csv.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { listReport, noteFindings, noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

// The command `recipient`: imports lists of people, and changes or removes single recipients.

const SETTINGS = ['AUTHOR_URL', 'SHARDS'] as const;

export function addRecipient(program: Command): void {
  const recipient = program.command('recipient').description('manage the people you write to');

  const importing = recipient
    .command('import <people.csv>')
    .description('add the people of a list to the recipients; the list is a CSV file')
    .option('--test', 'mark these people as test recipients, which are left out of all counts')
    .addOption(new Option('--charset <label>', 'the same as --list-charset').hideHelp());
  for (const option of PEOPLE_OPTIONS) importing.addOption(option);
  importing
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger recipient import people.csv\n  clickledger recipient import people.csv --no-emails --id-column customer --rejects left-out.csv',
    )
    .action(importPeople);

  recipient
    .command('list')
    .description('print the recipients as CSV')
    .option('--unsubscribed', 'only people who have unsubscribed')
    .addHelpText('after', '\nExamples:\n  clickledger recipient list > people.csv\n  clickledger recipient list --unsubscribed --json')
    .action(printRecipients);

  addPersonCommand(recipient, 'resubscribe', 'cancel the unsubscribe of a person who wants mail again', undefined, {
    update: (pool, id) => resubscribe(pool, id),
    message: () => 'not unsubscribed: `prepare` includes this person',
  });
  addPersonCommand(
    recipient,
    'opt-out',
    'stop tracking a person: new letters have untracked links and no pixel',
    ['--undo', 'track this person again'],
    {
      update: (pool, id, undo) => setOptedOut(pool, id, !undo),
      message: (undo) =>
        undo ? 'tracked again' : 'opted out: letters that were sent before are still counted, new letters will not be tracked',
    },
  );
  addPersonCommand(
    recipient,
    'test',
    'mark a person as a test recipient, which is left out of all counts',
    ['--undo', 'count this person again'],
    {
      update: (pool, id, undo) => setTest(pool, [id], !undo),
      updatesShards: true,
      message: (undo) => (undo ? 'counted again' : 'left out of all counts'),
    },
  );
  addPersonCommand(recipient, 'forget', "delete a person's mail address and id; the counts stay, anonymously", undefined, {
    update: (pool, id) => forget(pool, id),
    updatesShards: true,
    message: () => 'forgotten: the counts stay, and nothing in them identifies the person',
  });
}

interface PersonUpdate {
  update: (db: Database, id: number, undo: boolean) => Promise<unknown>;
  /** If true, the change is copied to the shards. */
  updatesShards?: boolean;
  message: (undo: boolean) => string;
}

/** Adds a subcommand that finds one person by address or by id and changes this person. */
function addPersonCommand(
  parent: Command,
  name: string,
  description: string,
  undo: [string, string] | undefined,
  { update, updatesShards, message }: PersonUpdate,
): void {
  const command = parent
    .command(`${name} [email]`)
    .description(description)
    .addOption(new Option('--id <id>', 'your own id of the person, instead of the mail address'));
  if (undo) command.option(...undo);
  command
    .addHelpText('after', `\nExamples:\n  clickledger recipient ${name} reader@example.com\n  clickledger recipient ${name} --id 4711`)
    .action(async (email: string | undefined, options: { id?: string; undo?: boolean }, self: Command) => {
      if ((email === undefined) === (options.id === undefined))
        self.error("error: give either a mail address or '--id <id>'", { exitCode: 2 });
      const selector: RecipientSelector = email === undefined ? { id: options.id as string } : { email };
      const config = await configOf(self, SETTINGS);
      const id = await withPool(config.AUTHOR_URL, async (pool) => {
        const found = await findRecipient(pool, selector);
        await update(pool, found, options.undo === true);
        if (updatesShards) await copyFlagsToShards(pool, config.SHARDS, config.AUTHOR_URL, [found]);
        return found;
      });
      if (self.optsWithGlobals<GlobalOptions>().json) printJson({ recipient: id });
      else note(message(options.undo === true));
    });
}

async function printRecipients({ unsubscribed = false }: { unsubscribed?: boolean }, command: Command): Promise<void> {
  const { AUTHOR_URL } = await configOf(command, ['AUTHOR_URL']);
  const json = command.optsWithGlobals<GlobalOptions>().json === true;
  const all: ListedRecipient[] = [];
  if (!json) process.stdout.write(csvRow(['email', 'id', 'untracked_since', 'unsubscribed_at']));
  await withPool(AUTHOR_URL, async (pool) => {
    for await (const chunk of listRecipients(pool, unsubscribed)) {
      if (json) all.push(...chunk);
      else
        process.stdout.write(
          chunk
            .map(({ email, external_id, opted_out_at, unsubscribed_at }) =>
              csvRow([email ?? '', external_id ?? '', opted_out_at?.toISOString() ?? '', unsubscribed_at?.toISOString() ?? '']),
            )
            .join(''),
        );
    }
  });
  if (json) printJson(all);
}

async function importPeople(file: string, options: PeopleOptions & { test?: boolean; charset?: string }, command: Command): Promise<void> {
  const config = await configOf(command, SETTINGS);
  const rejects = createRejects(options.rejects);
  const progress = createProgress();
  const json = command.optsWithGlobals<GlobalOptions>().json === true;
  const listCharset = options.listCharset ?? options.charset;
  let imported = 0;
  let list: PeopleFile | undefined;
  await withPool(config.AUTHOR_URL, async (pool) => {
    try {
      const people = (list = await openPeople(file, { ...options, ...(listCharset === undefined ? {} : { listCharset }) }));
      if (!json) noteFindings(people.findings);
      for await (const chunk of resolveAddressees(pool, people, { onReject: rejects.add })) {
        const ids = chunk.map(({ recipient }) => recipient.id);
        if (options.test) {
          await setTest(pool, ids, true);
          await copyFlagsToShards(pool, config.SHARDS, config.AUTHOR_URL, ids);
        }
        imported += chunk.length;
        progress.show(people.bytesRead(), people.bytes, `${imported.toLocaleString('en')} people`);
      }
    } finally {
      progress.end();
      await rejects.end();
    }
  });
  const people = list as PeopleFile;
  if (json) printJson({ imported, rejected: rejects.rejected, rejected_total: rejects.total(), list: listReport(people, rejects) });
  else {
    note(`${imported} people are in the catalog${options.test ? ' and marked as test recipients' : ''}`);
    noteRejects(rejects, options.rejects, people.findings);
  }
}
