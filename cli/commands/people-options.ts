import { Option } from 'commander';
import type { PeopleColumns } from '../../authoring/list-file.ts';

// What commands that read a list of people have in common.

export interface PeopleOptions extends PeopleColumns {
  rejects?: string;
}

export const PEOPLE_OPTIONS: readonly Option[] = [
  new Option('--email-column <name>', 'the column with the addresses, if it is not called email or the like'),
  new Option('--id-column <name>', 'the column with your own ids; with it, the id decides who somebody is, and the address may change'),
  new Option('--no-emails', 'store no addresses, only your own ids (--id-column, or a column called id)'),
  new Option('--rejects <file>', 'write the lines that are left out to a CSV file'),
];
