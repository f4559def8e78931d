import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import { type Addressee, inAdvance, resolveAddressees } from './addressees.ts';
import { ADDRESS } from './list-status.ts';
import { createMerge } from './merge-list.ts';
import { openOutputFile, withOutputDirectory, withOutputFile } from './output-files.ts';
import type { PeopleFile, Person } from './list-file.ts';
import { type Addresses, type AddressThread, startAddressThread } from './letter-addresses.ts';
import type { TrackedLetter } from './track-letter.ts';
import { normaliseEmail } from './recipients.ts';
import { createEmlWriter, createFilesWriter, createMboxWriter, createRenderer, type LetterWriter } from './render.ts';
import type { Envelope } from './letter/envelope.ts';
import { UNSUBSCRIBE } from './letter/plan.ts';
import { DIALECTS, type Sender } from './letter/senders.ts';
import { compileTemplate, fillTemplate } from './letter/template.ts';
import type { Rejects } from './rejected-lines.ts';

// The second half of the command `prepare`: writes a tracked letter to files, in one of several formats.

/** The options of the command `prepare` that choose the recipients, the format and the place of the output. */
export interface WriteOptions {
  to?: string;
  merge?: Sender;
  eml?: boolean;
  mbox?: boolean;
  /** The envelope is required for messages. */
  envelope?: Envelope;
  out?: string;
  only?: string;
}

/** The names of the output files. They are the names of the input files. */
export interface FileNames {
  html: string;
  text: string;
  people: string;
}

/** The addressees of a group. The URLs of a group are one text in memory, and V8 handles texts above 128 KiB with more effort. */
const WRITTEN_AT_ONCE = 150;
/** For fewer people, starting the thread would take longer than making their URLs. */
const LONG_CHUNK = 1000;

/** Only the owner may read the files, because they contain people's mail addresses. */
const OWNER_ONLY = { mode: 0o600 };

/** The result, as `--json` prints it. */
export interface WriteResult {
  /** The absolute path of the output. */
  out: string;
  /**
   * The number of people for whom a letter was written. `opted_out` and `tests` are the numbers of these people who opted out or are test
   * recipients.
   */
  prepared: number;
  opted_out: number;
  tests: number;
  /** The first 1000 rejected lines. */
  rejected: Rejects['rejected'];
  rejected_total: number;
}

/** Functions that are called while letters are written. */
export interface WriteCallbacks {
  /** Receives the number of people so far, the number of bytes read from their list, and the size of the list in bytes. */
  onProgress: (people: number, bytesRead: number, bytes: number) => void;
  onWarning: (text: string) => void;
}

/**
 * Throws `conflict` if the column `unsubscribe` of a list has an address. The author wants this address at `{{unsubscribe}}`, but the letter
 * would get the one of clickledger.
 */
export function assertNoOwnAddress(value: string): void {
  if (ADDRESS.test(value.trim()))
    throw new ClickledgerError(
      'conflict',
      'the list has addresses in its column unsubscribe, and {{unsubscribe}} stands for the link of clickledger. To use your own addresses, rename the column and the tag, e.g. to leave and {{leave}}.',
    );
}

/** Writes the letter with links that all readers share to a new directory. */
export async function writeSharedLetter(letter: TrackedLetter, names: FileNames, options: WriteOptions): Promise<WriteResult> {
  const out = resolve(options.out ?? 'prepared');
  const shared = letter.addressesOf(0);
  await withOutputDirectory(out, async () => {
    for (const part of ['html', 'text'] as const) {
      const plan = letter.plans[part];
      const links = letter.places[part].map((index) => shared.links[index] as string);
      if (plan)
        await writeFile(
          join(out, names[part]),
          fillTemplate(compileTemplate(plan), {
            links,
            pixel: shared.pixel,
            honeypot: letter.honeypot && shared.links[letter.honeypot.index],
            column: () => '',
          }),
          OWNER_ONLY,
        );
    }
  });
  return { out, prepared: 0, opted_out: 0, tests: 0, rejected: [], rejected_total: 0 };
}

/**
 * Writes the letter of each person on a list, in the format of `options`: a merged letter with a list, messages in one mbox file, or one
 * message or letter per file. With `only`, only this person's letter is written, and the catalog does not record that mail was prepared.
 */
export async function writePersonalLetters(
  pool: Pool,
  campaign: number,
  letter: TrackedLetter,
  people: PeopleFile,
  names: FileNames,
  options: WriteOptions,
  rejects: Rejects,
  { onProgress, onWarning }: WriteCallbacks,
): Promise<WriteResult> {
  const out = resolve(options.out ?? (options.mbox ? 'prepared.mbox' : 'prepared'));
  const addresses = createAddressesAhead(letter);
  const letterAhead = { ...letter, addressesOf: addresses.of };
  const counts = { prepared: 0, opted_out: 0, tests: 0 };
  const wanted = options.only === undefined ? undefined : (normaliseEmail(options.only) ?? options.only);
  const chunks = resolveAddressees(pool, people, {
    onReject: rejects.add,
    ...(wanted === undefined ? { campaign } : { only: (person: Person) => person.email === wanted || person.externalId === wanted }),
  });
  /**
   * Yields all addressees in small groups, and counts them. Between two groups, this process handles replies of Postgres about the next
   * chunk. Otherwise Postgres would wait until the letters of the whole chunk are written.
   */
  async function* countedAddressees(): AsyncGenerator<Addressee[]> {
    for await (const group of addresses.groups(chunks)) {
      if (letter.unsubscribeOf) for (const { person } of group) assertNoOwnAddress(people.value(person, UNSUBSCRIBE));
      yield group;
      counts.prepared += group.length;
      counts.opted_out += group.filter(({ recipient }) => recipient.optedOut).length;
      counts.tests += group.filter(({ recipient }) => recipient.isTest).length;
      onProgress(counts.prepared, people.bytesRead(), people.bytes);
      await setImmediate();
    }
    // This error is thrown before any file gets its final name.
    if (wanted !== undefined && counts.prepared === 0) throw new ClickledgerError('not-found', `${options.only} is not in ${options.to}`);
  }
  try {
    if (options.merge)
      await withOutputDirectory(out, () =>
        writeMerge(letterAhead, people, options.merge as Sender, out, names, countedAddressees(), onWarning),
      );
    else if (options.mbox)
      await withOutputFile(out, async () =>
        writeLetters(await createMboxWriter(out, people, letter, options.envelope as Envelope), letterAhead, people, countedAddressees()),
      );
    else
      await withOutputDirectory(out, async () => {
        const writer = await (options.eml
          ? createEmlWriter(out, people, letter, options.envelope as Envelope)
          : createFilesWriter(out, people, letter));
        return writeLetters(writer, letterAhead, people, countedAddressees());
      });
  } finally {
    await addresses.end();
    await rejects.end();
  }
  return { out, ...counts, rejected: rejects.rejected, rejected_total: rejects.total() };
}

/**
 * The URLs of the addressees of a list. If the list is long, a thread makes the URLs of a chunk while the chunk before it is written.
 * `groups` yields the addressees of all chunks in small groups, so that only few URLs are in memory as separate texts. `of` returns the URLs
 * of any recipient. `end` ends the thread.
 */
function createAddressesAhead(letter: TrackedLetter): {
  groups: (chunks: AsyncIterable<Addressee[]>) => AsyncIterable<Addressee[]>;
  of: (recipient: number) => Addresses;
  end: () => Promise<void>;
} {
  let thread: AddressThread | undefined;
  let known = new Map<number, Addresses>();

  /** Starts to make the URLs of a chunk. */
  function begin(chunk: readonly Addressee[]): (() => Promise<Addressee[]>)[] {
    if (chunk.length >= LONG_CHUNK) thread ??= startAddressThread(letter.addressPlan);
    return Array.from({ length: Math.ceil(chunk.length / WRITTEN_AT_ONCE) }, (_, i) => {
      const group = chunk.slice(i * WRITTEN_AT_ONCE, (i + 1) * WRITTEN_AT_ONCE);
      const recipients = group.filter(({ recipient }) => !recipient.optedOut).map(({ recipient }) => recipient.id);
      const addresses = thread === undefined ? undefined : inAdvance(thread.addressesOf(recipients));
      return async () => {
        const all = (await addresses)?.();
        known = new Map(all?.map((each, n) => [recipients[n] as number, each]));
        return group;
      };
    });
  }

  return {
    async *groups(chunks) {
      let begun: (() => Promise<Addressee[]>)[] = [];
      for await (const chunk of chunks) {
        const next = begin(chunk);
        for (const group of begun) yield group();
        begun = next;
      }
      for (const group of begun) yield group();
    },
    of: (recipient) => known.get(recipient) ?? letter.addressesOf(recipient),
    end: async () => thread?.end(),
  };
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
  for (const warning of merge.warnings) onWarning(warning);
  if (merge.html) await writeFile(join(out, names.html), merge.html, OWNER_ONLY);
  if (merge.text) await writeFile(join(out, names.text), merge.text, OWNER_ONLY);
  const list = await openOutputFile(join(out, names.people));
  try {
    await list.write(merge.header);
    for await (const chunk of addressees) await list.write(chunk.map(({ person, recipient }) => merge.row(person, recipient)).join(''));
    await list.end();
  } finally {
    await list.abandon();
  }
  if (merge.tooLongCount() > 0)
    onWarning(
      `${merge.tooLongCount()} values are longer than ${DIALECTS[sender].maxBytes} bytes, and ${sender} cuts off longer values: links of people who opted out will break`,
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
