import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import { type Addressee, everyone } from './addressees.ts';
import { createMerge } from './merge-list.ts';
import { intoDirectory, intoFile, openFile } from './output-files.ts';
import type { PeopleFile, Person } from './list-file.ts';
import type { TrackedLetter } from './track-letter.ts';
import { normaliseEmail } from './recipients.ts';
import { createEmlWriter, createFilesWriter, createMboxWriter, createRenderer, type Envelope, type LetterWriter } from './render.ts';
import { DIALECTS, type Sender } from './letter/senders.ts';
import { compileTemplate, fillTemplate } from './letter/template.ts';
import type { Rejects } from './rejected-lines.ts';

// The second half of `prepare`: the letter is tracked, and goes out to files in one of its forms.

export interface WriteOptions {
  to?: string;
  merge?: Sender;
  eml?: boolean;
  mbox?: boolean;
  from?: string;
  subject?: string;
  header: string[];
  out?: string;
  only?: string;
}

/** What the files of a result are called: as those they come from. */
export interface FileNames {
  html: string;
  text: string;
  people: string;
}

const PRIVATE = { mode: 0o600 };

/** What became of it, as `--json` prints it. */
export interface Written {
  out: string;
  prepared: number;
  opted_out: number;
  tests: number;
  rejected: Rejects['rejected'];
  rejected_total: number;
}

/** What happens while letters are written. */
export interface WriteEvents {
  /** People done so far, and how far their list is read. */
  onProgress: (people: number, bytesRead: number, bytes: number) => void;
  onWarning: (text: string) => void;
}

/** The letter with links that all readers share. */
export async function writeSharedLetter(letter: TrackedLetter, names: FileNames, options: WriteOptions): Promise<Written> {
  const out = resolve(options.out ?? 'prepared');
  const shared = letter.addressesOf(0);
  await intoDirectory(out, async () => {
    for (const part of ['html', 'text'] as const) {
      const plan = letter.plans[part];
      const links = letter.places[part].map((index) => shared.links[index] as string);
      if (plan)
        await writeFile(
          join(out, names[part]),
          fillTemplate(compileTemplate(plan), { links, pixel: shared.pixel, column: () => '' }),
          PRIVATE,
        );
    }
  });
  return { out, prepared: 0, opted_out: 0, tests: 0, rejected: [], rejected_total: 0 };
}

/** A letter for everybody of a list, in the form that was asked for. */
export async function writePersonalLetters(
  pool: Pool,
  campaign: number,
  letter: TrackedLetter,
  people: PeopleFile,
  names: FileNames,
  options: WriteOptions,
  rejects: Rejects,
  { onProgress, onWarning }: WriteEvents,
): Promise<Written> {
  const out = resolve(options.out ?? (options.mbox ? 'prepared.mbox' : 'prepared'));
  const counts = { prepared: 0, opted_out: 0, tests: 0 };
  const wanted = options.only === undefined ? undefined : (normaliseEmail(options.only) ?? options.only);
  const chunks = everyone(pool, people, {
    onReject: rejects.add,
    ...(wanted === undefined ? { campaign } : { only: (person: Person) => person.email === wanted || person.externalId === wanted }),
  });
  /** Hands on every addressee, and keeps count. */
  async function* addressees(): AsyncGenerator<Addressee[]> {
    for await (const chunk of chunks) {
      yield chunk;
      counts.prepared += chunk.length;
      counts.opted_out += chunk.filter(({ recipient }) => recipient.optedOut).length;
      counts.tests += chunk.filter(({ recipient }) => recipient.isTest).length;
      onProgress(counts.prepared, people.bytesRead(), people.bytes);
    }
    // Before anything gets its final name.
    if (wanted !== undefined && counts.prepared === 0) throw new ClickledgerError('not-found', `${options.only} is not in ${options.to}`);
  }
  try {
    if (options.merge)
      await intoDirectory(out, () => writeMerge(letter, people, options.merge as Sender, out, names, addressees(), onWarning));
    else if (options.mbox)
      await intoFile(out, async () =>
        writeLetters(await createMboxWriter(out, people, letter, envelopeOf(options)), letter, people, addressees()),
      );
    else
      await intoDirectory(out, async () => {
        const writer = await (options.eml
          ? createEmlWriter(out, people, letter, envelopeOf(options))
          : createFilesWriter(out, people, letter));
        return writeLetters(writer, letter, people, addressees());
      });
  } finally {
    await rejects.end();
  }
  return { out, ...counts, rejected: rejects.rejected, rejected_total: rejects.total() };
}

async function writeMerge(
  letter: TrackedLetter,
  people: PeopleFile,
  sender: Sender,
  out: string,
  names: FileNames,
  addressees: AsyncIterable<Addressee[]>,
  onWarning: (text: string) => void,
): Promise<void> {
  const merge = createMerge(letter, sender, people);
  if (merge.html) await writeFile(join(out, names.html), merge.html, PRIVATE);
  if (merge.text) await writeFile(join(out, names.text), merge.text, PRIVATE);
  const list = await openFile(join(out, names.people));
  try {
    await list.write(merge.header);
    for await (const chunk of addressees) await list.write(chunk.map(({ person, recipient }) => merge.row(person, recipient)).join(''));
    await list.end();
  } finally {
    await list.abandon();
  }
  if (merge.tooLong() > 0)
    onWarning(
      `${merge.tooLong()} values are longer than the ${DIALECTS[sender].maxBytes} bytes that ${sender} keeps: addresses of people who are not tracked would be cut off`,
    );
}

async function writeLetters(
  writer: LetterWriter,
  letter: TrackedLetter,
  people: PeopleFile,
  addressees: AsyncIterable<Addressee[]>,
): Promise<void> {
  try {
    const render = createRenderer(letter, people.header);
    for await (const chunk of addressees)
      for (const { person, recipient } of chunk)
        await writer.write(
          { person, recipient },
          render(recipient, (name) => people.value(person, name)),
        );
    await writer.end();
  } finally {
    await writer.abandon();
  }
}

function envelopeOf({ from = '', subject = '', header }: WriteOptions): Envelope {
  const headers = header.map((line) => {
    const [, key, value] = /^([!-9;-~]+):\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new ClickledgerError('bad-input', `'${line}' is no header: write "Name: value"`);
    return { key, value };
  });
  return { from, subject, headers };
}
