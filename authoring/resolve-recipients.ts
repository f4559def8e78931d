import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { from as copyFrom } from 'pg-copy-streams';
import { codeOf } from '../core/errors.ts';
import { type Pool, type PoolClient, transaction } from '../core/postgres.ts';

// Finds or makes many recipients at once: a chunk of people goes into a temporary table by COPY, and three statements sort out who is new.

/** Who somebody is: an address as `normaliseEmail` gives it, the author's own id, or both. Then the id decides, and the address may change. */
export interface PersonKey {
  email: string | undefined;
  externalId: string | undefined;
}

export interface Recipient {
  id: number;
  optedOut: boolean;
  isTest: boolean;
}

/** Two imports at once take turns: each would make people the other one is just making. */
const IMPORT_LOCK = 4_718_230;
const MAX_TRIES = 5;

/**
 * The recipients of people, in their order; undefined for those whose address and id belong to two different recipients.
 * With `campaign`, notes that mail was prepared for them. Some thousand people at a time are fastest.
 */
export async function resolveRecipients(pool: Pool, people: readonly PersonKey[], campaign?: number): Promise<(Recipient | undefined)[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await resolveOnce(pool, people, campaign);
    } catch (error) {
      // Somebody outside of an import has just made the same person.
      if (codeOf(error) !== '23505' || tries === MAX_TRIES) throw error;
    }
  }
}

async function resolveOnce(pool: Pool, people: readonly PersonKey[], campaign: number | undefined): Promise<(Recipient | undefined)[]> {
  return transaction(pool, async (client) => {
    await client.query('CREATE TEMPORARY TABLE IF NOT EXISTS incoming (n integer, email text, external_id text) ON COMMIT DELETE ROWS');
    await client.query('SELECT pg_advisory_xact_lock($1)', [IMPORT_LOCK]);
    await copyIn(client, people);
    // Without it the planner takes the table for empty, or for large, and reads all recipients.
    await client.query('ANALYZE incoming');
    const byId = people.some(({ externalId }) => externalId !== undefined);
    // Whose new address somebody else is just giving up follows in the next round.
    while (byId && ((await client.query(MOVED)).rowCount ?? 0) > 0);
    if (byId) await client.query(RECOGNISED);
    await client.query(NEW);
    const { rows } = await client.query<Recipient & { n: number }>(FOUND);
    if (campaign !== undefined)
      await client.query(
        `INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT $1, id FROM unnest($2::bigint[]) id ON CONFLICT DO NOTHING`,
        [campaign, rows.map(({ id }) => id)],
      );
    const recipients: (Recipient | undefined)[] = people.map(() => undefined);
    for (const { n, id, optedOut, isTest } of rows) recipients[n] = { id, optedOut, isTest };
    return recipients;
  });
}

/** A known id with another address: the person has moved. */
const MOVED = `
  UPDATE catalog.recipient r SET email = i.email FROM incoming i
  WHERE r.external_id = i.external_id AND i.email IS NOT NULL AND r.email IS DISTINCT FROM i.email
    AND NOT EXISTS (SELECT FROM catalog.recipient other WHERE other.email = i.email)`;

/** A known address without an id yet. */
const RECOGNISED = `
  UPDATE catalog.recipient r SET external_id = i.external_id FROM incoming i
  WHERE r.email = i.email AND r.external_id IS NULL AND i.external_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM catalog.recipient other WHERE other.external_id = i.external_id)`;

/** Asked for first, not just tried: every try that fails would use up a number. */
const NEW = `
  INSERT INTO catalog.recipient (email, external_id)
  SELECT email, external_id FROM incoming i
  WHERE NOT EXISTS (SELECT FROM catalog.recipient r WHERE r.email = i.email)
    AND NOT EXISTS (SELECT FROM catalog.recipient r WHERE r.external_id = i.external_id)
  ORDER BY n ON CONFLICT DO NOTHING`;

const FOUND = `
  SELECT n, r.id, r.opted_out_at IS NOT NULL AS "optedOut", r.is_test AS "isTest"
  FROM incoming i JOIN catalog.recipient r ON r.external_id = i.external_id AND (i.email IS NULL OR r.email = i.email)
  UNION ALL
  SELECT n, r.id, r.opted_out_at IS NOT NULL, r.is_test
  FROM incoming i JOIN catalog.recipient r ON r.email = i.email WHERE i.external_id IS NULL`;

/**
 * Of those in one chunk that contradict each other only the first is let in: one statement cannot give one person two addresses. Who is
 * named once by address and once by both is one person.
 */
async function copyIn(client: PoolClient, people: readonly PersonKey[]): Promise<void> {
  const emailOf = new Map<string, string>();
  const idOf = new Map<string, string>();
  const good = people.map(({ email, externalId }) => {
    if (email === undefined || externalId === undefined) return email !== undefined || externalId !== undefined;
    if ((emailOf.get(externalId) ?? email) !== email || (idOf.get(email) ?? externalId) !== externalId) return false;
    emailOf.set(externalId, email);
    idOf.set(email, externalId);
    return true;
  });
  const lines = people.map((person, n) => {
    if (!good[n]) return '';
    const email = person.email ?? emailOf.get(person.externalId as string);
    const externalId = person.externalId ?? idOf.get(person.email as string);
    return `${n}\t${field(email)}\t${field(externalId)}\n`;
  });
  await pipeline(Readable.from([lines.join('')]), client.query(copyFrom('COPY incoming FROM STDIN')));
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** A field of COPY's text format. Postgres has no NUL in texts. */
function field(value: string | undefined): string {
  return value === undefined ? '\\N' : value.replaceAll('\0', '').replace(/[\\\t\n\r]/g, (character) => ESCAPES[character] as string);
}
