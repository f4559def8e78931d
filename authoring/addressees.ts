import type { Pool } from '../core/postgres.ts';
import type { PeopleFile, Person, Rejected } from './list-file.ts';
import { type Recipient, resolveRecipients } from './resolve-recipients.ts';

export interface Addressee {
  person: Person;
  recipient: Recipient;
}

/**
 * Goes through a list of people and finds or makes the recipient of each, a chunk at a time and one chunk ahead of whoever takes them.
 * `only` picks people; with `campaign`, notes that mail was prepared for them.
 */
export async function* everyone(
  pool: Pool,
  people: PeopleFile,
  options: { campaign?: number; only?: (person: Person) => boolean; onReject: (rejected: Rejected) => void },
): AsyncGenerator<Addressee[]> {
  const { campaign, only, onReject } = options;
  const seen = createBitmap();

  async function resolve(chunk: Person[]): Promise<Addressee[]> {
    const wanted = only ? chunk.filter(only) : chunk;
    if (wanted.length === 0) return [];
    const recipients = await resolveRecipients(pool, wanted, campaign);
    return wanted.flatMap((person, i) => {
      const recipient = recipients[i];
      const reason = recipient === undefined ? 'conflict' : seen.add(recipient.id) ? undefined : 'duplicate';
      if (recipient !== undefined && reason === undefined) return [{ person, recipient }];
      onReject({ line: person.line, reason: reason ?? 'conflict', value: person.email ?? person.externalId ?? '' });
      return [];
    });
  }

  const chunks = people.chunks(onReject);
  const read = async (): Promise<Addressee[] | undefined> => {
    const { done, value } = await chunks.next();
    return done ? undefined : resolve(value);
  };
  try {
    let ahead = read();
    for (;;) {
      const current = await ahead;
      if (current === undefined) return;
      ahead = read();
      // Should whoever takes them stop here, nobody waits for the next chunk any more.
      ahead.catch(() => {});
      yield current;
    }
  } finally {
    await chunks.return(undefined);
  }
}

/** Which numbers have been seen, one bit each. Recipients are numbered without large gaps. */
function createBitmap(): { add(id: number): boolean } {
  let bits = new Uint8Array(65_536);
  return {
    /** Whether it is new. */
    add(id) {
      const at = Math.floor(id / 8);
      const mask = 1 << (id % 8);
      if (at >= bits.length) {
        const larger = new Uint8Array(Math.max(at + 1, bits.length * 2));
        larger.set(bits);
        bits = larger;
      }
      if (((bits[at] as number) & mask) !== 0) return false;
      bits[at] = (bits[at] as number) | mask;
      return true;
    },
  };
}
