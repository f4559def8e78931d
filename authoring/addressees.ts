import type { Pool } from '../core/postgres.ts';
import type { PeopleFile, Person, Rejected } from './list-file.ts';
import { type Recipient, recipientOrReason, type ResolveOptions, resolveRecipients } from './resolve-recipients.ts';

// Reads a list and finds or creates the recipient of each person, chunk by chunk.

/** A person of a list together with the recipient in the catalog. */
export interface Addressee {
  person: Person;
  recipient: Recipient;
}

/**
 * Reads a list and yields its addressees in chunks. While the caller processes a chunk, the database resolves the next one, and the one
 * after that is read. A person who is in the list twice is yielded once.
 *
 * `only` selects people. People who are not selected are not added to the catalog. If `campaign` is given, people who have unsubscribed are
 * left out, and the catalog records as `how` says (`ResolveOptions`) that mail of this campaign was prepared. `onReject` is called for each line
 * that is left out. `chunkSize` is the number of people of a chunk.
 */
export async function* resolveAddressees(
  pool: Pool,
  people: PeopleFile,
  options: {
    campaign?: number;
    how?: ResolveOptions;
    only?: (person: Person) => boolean;
    onReject: (rejected: Rejected) => void;
    chunkSize?: number;
  },
): AsyncGenerator<Addressee[]> {
  const { campaign, how, only, onReject, chunkSize } = options;
  const seen = createBitmap();

  async function resolve(chunk: Person[]): Promise<Addressee[]> {
    const wanted = only ? chunk.filter(only) : chunk;
    if (wanted.length === 0) return [];
    const recipients = await resolveRecipients(pool, wanted, campaign, how);
    return wanted.flatMap((person, i) => {
      const found = recipients[i];
      const recipient = found && !seen.add(found.id) ? 'duplicate' : recipientOrReason(found);
      if (typeof recipient !== 'string') return [{ person, recipient }];
      onReject({ line: person.line, reason: recipient, value: person.email ?? person.externalId ?? '' });
      return [];
    });
  }

  const chunks = people.chunks(onReject, chunkSize);
  const readNext = () => inAdvance(chunks.next());
  let reading = readNext();
  const resolveNext = async (): Promise<Addressee[] | undefined> => {
    const { done, value } = await reading;
    if (done) return undefined;
    // The database resolves this chunk while this process reads the next one.
    reading = readNext();
    return resolve(value);
  };
  try {
    let resolving = inAdvance(resolveNext());
    for (;;) {
      const current = await resolving;
      if (current === undefined) return;
      resolving = inAdvance(resolveNext());
      yield current;
    }
  } finally {
    await chunks.return(undefined);
  }
}

/** Marks a promise that nothing awaits if the caller stops early. Then its error must not become an unhandled rejection. */
export function inAdvance<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** A set of recipient ids with one bit for each id. This is compact because recipients are numbered without large gaps. */
function createBitmap(): { add(id: number): boolean } {
  let bits = new Uint8Array(65_536);
  return {
    /** Adds an id. Returns false if the set already has it. */
    add(id) {
      const index = Math.floor(id / 8);
      const mask = 1 << (id % 8);
      if (index >= bits.length) {
        const larger = new Uint8Array(Math.max(index + 1, bits.length * 2));
        larger.set(bits);
        bits = larger;
      }
      if (((bits[index] as number) & mask) !== 0) return false;
      bits[index] = (bits[index] as number) | mask;
      return true;
    },
  };
}
