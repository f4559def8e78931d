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
import { note } from '../cli/output.ts';
import { createProgress } from '../cli/progress.ts';
import { createRejects, type Rejects } from './rejected-lines.ts';

// The second half of `prepare`: the letter is tracked, and goes out to files in one of its forms.

export interface DeliverOptions {
  to?: string;
  merge?: Sender;
  eml?: boolean;
  mbox?: boolean;
  from?: string;
  subject?: string;
  header: string[];
  out?: string;
  only?: string;
  rejects?: string;
}

/** What the files of a result are called: as those they come from. */
export interface FileNames {
  html: string;
  text: string;
  people: string;
}

const PRIVATE = { mode: 0o600 };

/** What became of it, as `--json` prints it. */
export interface Delivered {
  out: string;
  prepared: number;
  opted_out: number;
  tests: number;
  rejected: Rejects['rejected'];
  rejected_total: number;
}

/** The letter with links that all readers share. */
export async function deliverToAll(letter: TrackedLetter, names: FileNames, options: DeliverOptions): Promise<Delivered> {
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
  note(`${letter.links.length} links, shared by all`);
  return { out, prepared: 0, opted_out: 0, tests: 0, rejected: [], rejected_total: 0 };
}

/** A letter for everybody of a list, in the form that was asked for. */
export async function deliverToPeople(
  pool: Pool,
  campaign: number,
  letter: TrackedLetter,
  people: PeopleFile,
  names: FileNames,
  options: DeliverOptions,
): Promise<Delivered> {
  const out = resolve(options.out ?? (options.mbox ? 'prepared.mbox' : 'prepared'));
  const rejects = createRejects(options.rejects);
  const progress = createProgress();
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
      progress.show(people.bytesRead(), people.bytes, `${counts.prepared.toLocaleString('en')} people`);
    }
    // Before anything gets its final name.
    if (wanted !== undefined && counts.prepared === 0) throw new ClickledgerError('not-found', `${options.only} is not in ${options.to}`);
  }
  try {
    if (options.merge) await intoDirectory(out, () => writeMerge(letter, people, options.merge as Sender, out, names, addressees()));
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
    progress.end();
    await rejects.end();
  }
  note(summary(letter, counts));
  rejects.tell();
  return { out, ...counts, rejected: rejects.rejected, rejected_total: rejects.total() };
}

function summary(letter: TrackedLetter, { prepared, opted_out, tests }: { prepared: number; opted_out: number; tests: number }): string {
  const more = [
    ...(opted_out > 0 ? [`${opted_out} opted out of tracking: untracked links, no pixel`] : []),
    ...(tests > 0 ? [`${tests} test ${tests === 1 ? 'recipient' : 'recipients'}: left out of all counts`] : []),
  ];
  return [`prepared for ${prepared} people: ${letter.links.length} links${letter.hasPixel ? ' and a pixel' : ''}`, ...more].join('\n  ');
}

async function writeMerge(
  letter: TrackedLetter,
  people: PeopleFile,
  sender: Sender,
  out: string,
  names: FileNames,
  addressees: AsyncIterable<Addressee[]>,
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
    note(
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

function envelopeOf({ from = '', subject = '', header }: DeliverOptions): Envelope {
  const headers = header.map((line) => {
    const [, key, value] = /^([!-9;-~]+):\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new ClickledgerError('bad-input', `'${line}' is no header: write "Name: value"`);
    return { key, value };
  });
  return { from, subject, headers };
}
