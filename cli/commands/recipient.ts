import { type Command, Option } from 'commander';
import type { Database } from '../../authoring/campaigns.ts';
import { everyone } from '../../authoring/addressees.ts';
import { openPeople } from '../../authoring/list-file.ts';
import { findRecipient, forget, type PersonName, setOptedOut, setTest, tellShards } from '../../authoring/recipients.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

const SETTINGS = ['AUTHOR_URL', 'SHARDS'] as const;

export function addRecipient(program: Command): void {
  const recipient = program.command('recipient').description('the people you write to');

  const importing = recipient
    .command('import <people.csv>')
    .description('make the people of a list known, or find them again; any CSV file with a header')
    .option('--test', 'they are test recipients: left out of all counts');
  for (const option of PEOPLE_OPTIONS) importing.addOption(option);
  importing
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger recipient import people.csv\n  clickledger recipient import people.csv --no-emails --id-column customer --rejects left-out.csv',
    )
    .action(importPeople);

  onePerson(recipient, 'opt-out', 'letters to this person have untracked links and no pixel from now on', ['--undo', 'track them again'], {
    act: (pool, id, undo) => setOptedOut(pool, id, !undo),
    said: (undo) => (undo ? 'tracked again' : 'opted out: what was sent before still counts, what is prepared from now on is untracked'),
  });
  onePerson(recipient, 'test', 'leave this person out of all counts', ['--undo', 'count them again'], {
    act: (pool, id, undo) => setTest(pool, [id], !undo),
    tells: true,
    said: (undo) => (undo ? 'counted again' : 'left out of all counts'),
  });
  onePerson(recipient, 'forget', 'remove a person; anonymous counts stay, the address is nowhere any more', undefined, {
    act: (pool, id) => forget(pool, id),
    tells: true,
    said: () => 'forgotten: counts stay, without a way back to the person',
  });
}

interface Act {
  act: (db: Database, id: number, undo: boolean) => Promise<void>;
  /** Shards have to know, too. */
  tells?: boolean;
  said: (undo: boolean) => string;
}

function onePerson(
  parent: Command,
  name: string,
  description: string,
  undo: [string, string] | undefined,
  { act, tells, said }: Act,
): void {
  const command = parent
    .command(`${name} [email]`)
    .description(description)
    .addOption(new Option('--id <id>', 'your own id of the person, instead of the address'));
  if (undo) command.option(...undo);
  command
    .addHelpText('after', `\nExamples:\n  clickledger recipient ${name} reader@example.com\n  clickledger recipient ${name} --id 4711`)
    .action(async (email: string | undefined, options: { id?: string; undo?: boolean }, self: Command) => {
      if ((email === undefined) === (options.id === undefined)) self.error("error: say who: an address, or '--id <id>'", { exitCode: 2 });
      const who: PersonName = email === undefined ? { id: options.id as string } : { email };
      const config = await configOf(self, SETTINGS);
      const id = await withPool(config.AUTHOR_URL, async (pool) => {
        const found = await findRecipient(pool, who);
        await act(pool, found, options.undo === true);
        if (tells) await tellShards(pool, config.SHARDS, config.AUTHOR_URL, [found]);
        return found;
      });
      if (self.optsWithGlobals<Globals>().json) printJson({ recipient: id });
      else note(said(options.undo === true));
    });
}

async function importPeople(file: string, options: PeopleOptions & { test?: boolean }, command: Command): Promise<void> {
  const config = await configOf(command, SETTINGS);
  const rejects = createRejects(options.rejects);
  const progress = createProgress();
  let imported = 0;
  await withPool(config.AUTHOR_URL, async (pool) => {
    try {
      const people = await openPeople(file, options);
      for await (const chunk of everyone(pool, people, { onReject: rejects.add })) {
        const ids = chunk.map(({ recipient }) => recipient.id);
        if (options.test) {
          await setTest(pool, ids, true);
          await tellShards(pool, config.SHARDS, config.AUTHOR_URL, ids);
        }
        imported += chunk.length;
        progress.show(people.bytesRead(), people.bytes, `${imported.toLocaleString('en')} people`);
      }
    } finally {
      progress.end();
      await rejects.end();
    }
  });
  if (command.optsWithGlobals<Globals>().json) printJson({ imported, rejected: rejects.rejected, rejected_total: rejects.total() });
  else {
    note(`${imported} people are known${options.test ? ', as test recipients' : ''}`);
    noteRejects(rejects, options.rejects);
  }
}
