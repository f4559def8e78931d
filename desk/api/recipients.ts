import { z } from 'zod';
import { resolvePeople } from '../../authoring/prepare-letter.ts';
import {
  copyFlagsToShards,
  findRecipient,
  forget,
  listRecipients,
  readRecipient,
  resubscribe,
  setOptedOut,
  setTest,
} from '../../authoring/recipients.ts';
import { REJECT_REASONS, type RejectReason } from '../../authoring/list-file.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { answerBody } from './lines.ts';
import { NDJSON } from './ndjson.ts';
import { type ApiDeps, json, route } from './route.ts';
import { flagInQuery, id, idInPath, LineProblem, named, personFields, text, timeOut } from './schemas.ts';

// The resource `recipients`: the people to whom letters are written.

const Recipient = named(
  'Recipient',
  z.object({
    recipient: id.describe('the number of the recipient, from which URLs can be made without a request (docs/url-format.md)'),
    email: z.string().nullable(),
    external_id: z.string().nullable(),
    opted_out_at: timeOut.nullable().describe('since when the person is not tracked'),
    unsubscribed_at: timeOut.nullable(),
  }),
);
const Person = named('Person', z.strictObject(personFields));
const PersonResult = named(
  'PersonResult',
  z.union([z.object({ line: id, recipient: id }), z.object({ line: id, rejected: z.enum(REJECT_REASONS) }), LineProblem]),
);
const RecipientChanges = named('RecipientChanges', z.strictObject({ opted_out: z.boolean().optional(), test: z.boolean().optional() }));

const params = z.object({ recipient: idInPath });
const answer = { 200: { description: 'the recipient', content: { 'application/json': Recipient } } };

/** The fields of a person under the names that the functions of `authoring` use. */
export const personOf = ({ email, external_id }: { email?: string | undefined; external_id?: string | undefined }) => ({
  ...(email === undefined ? {} : { email }),
  ...(external_id === undefined ? {} : { id: external_id }),
});

/** Throws the error for a person who cannot be a recipient. */
function throwRejected(reason: RejectReason): never {
  switch (reason) {
    case 'conflict':
      throw new ClickledgerError('conflict', 'the mail address belongs to another recipient than the external_id');
    case 'unsubscribed':
    case 'duplicate':
    case 'not-subscribed':
      throw new ClickledgerError('conflict', `this person cannot get a letter: ${reason}`);
    case 'no-address':
      throw new ClickledgerError('bad-input', 'a person needs an email, an external_id, or both');
    case 'bad-address':
      throw new ClickledgerError('bad-input', 'the email is not a mail address');
    case 'no-id':
    case 'bad-id':
      throw new ClickledgerError('bad-input', 'the external_id must have 1 to 255 characters');
  }
}

/** Finds or creates the recipient of one person, and returns its number. */
async function resolvePerson(
  { author }: ApiDeps,
  person: { email?: string | undefined; external_id?: string | undefined },
): Promise<number> {
  const [found] = await resolvePeople(author, [personOf(person)]);
  if (found === undefined || typeof found === 'string') return throwRejected(found ?? 'no-address');
  return found.id;
}

const copyFlags = ({ author, config }: ApiDeps, recipient: number): Promise<void> =>
  copyFlagsToShards(author, config.SHARDS, config.AUTHOR_URL, [recipient]);

export const recipientRoutes = [
  route({
    method: 'GET',
    path: '/recipients',
    operationId: 'listRecipients',
    summary: 'List all recipients as NDJSON',
    role: 'author',
    query: z.strictObject({ unsubscribed: flagInQuery.optional().describe('true: only those who are unsubscribed now') }),
    isLong: true,
    answers: { 200: { description: 'one recipient on each line', content: { [NDJSON]: Recipient } } },
    async handle({ deps, query, recheck }) {
      async function* lines(): AsyncGenerator<string> {
        for await (const chunk of listRecipients(deps.author, query.unsubscribed === true)) {
          await recheck();
          yield chunk.map((each) => `${JSON.stringify(each)}\n`).join('');
        }
      }
      return { status: 200, type: NDJSON, stream: lines() };
    },
  }),
  route({
    method: 'POST',
    path: '/recipients',
    operationId: 'putRecipients',
    summary: 'Create recipients, or find them: one as JSON, or any number as NDJSON',
    description:
      'With NDJSON, each line of the body is a person, and each line of the answer is the result of a line. Read the answer while you send the body.',
    role: 'author',
    body: Person,
    line: Person,
    action: 'recipient.create',
    answers: {
      200: {
        description: 'the recipient, or the results of the lines',
        content: { 'application/json': Recipient, [NDJSON]: PersonResult },
      },
    },
    async handle({ deps, body, note }) {
      const recipient = await resolvePerson(deps, body);
      note({ recipient });
      return json(200, await readRecipient(deps.author, recipient));
    },
    handleLines: async (context) =>
      answerBody(context, Person, async (lines) => {
        const found = await resolvePeople(
          context.deps.author,
          lines.map(({ value }) => personOf(value)),
        );
        return found.map((each) => (typeof each === 'string' ? { rejected: each } : { recipient: each.id }));
      }),
  }),
  route({
    method: 'POST',
    path: '/recipients/find',
    operationId: 'findRecipient',
    summary: 'Find a recipient by mail address or external_id, without creating one',
    description: 'The person is in the body, because URLs are written to logs.',
    role: 'author',
    body: Person,
    answers: answer,
    async handle({ deps, body: { email, external_id } }) {
      if ((email === undefined) === (external_id === undefined))
        throw new ClickledgerError('bad-input', 'give either the email or the external_id');
      const found = await findRecipient(deps.author, email === undefined ? { id: external_id as string } : { email });
      return json(200, await readRecipient(deps.author, found));
    },
  }),
  route({
    method: 'GET',
    path: '/recipients/{recipient}',
    operationId: 'readRecipient',
    summary: 'Read a recipient',
    role: 'author',
    params,
    answers: answer,
    handle: async ({ deps, params: { recipient } }) => json(200, await readRecipient(deps.author, recipient)),
  }),
  route({
    method: 'PATCH',
    path: '/recipients/{recipient}',
    operationId: 'changeRecipient',
    summary: 'Stop or start tracking a recipient, or mark a test recipient',
    role: 'author',
    params,
    body: RecipientChanges,
    action: 'recipient.change',
    answers: answer,
    async handle({ deps, params: { recipient }, body, note }) {
      note({ fields: Object.keys(body) });
      await readRecipient(deps.author, recipient);
      if (body.opted_out !== undefined) await setOptedOut(deps.author, recipient, body.opted_out);
      if (body.test !== undefined) {
        await setTest(deps.author, [recipient], body.test);
        await copyFlags(deps, recipient);
      }
      return json(200, await readRecipient(deps.author, recipient));
    },
  }),
  route({
    method: 'POST',
    path: '/recipients/{recipient}/resubscribe',
    operationId: 'resubscribeRecipient',
    summary: 'Cancel the unsubscribe of a recipient who wants mail again',
    role: 'author',
    params,
    action: 'recipient.resubscribe',
    answers: answer,
    async handle({ deps, params: { recipient } }) {
      await readRecipient(deps.author, recipient);
      await resubscribe(deps.author, recipient);
      return json(200, await readRecipient(deps.author, recipient));
    },
  }),
  route({
    method: 'DELETE',
    path: '/recipients/{recipient}',
    operationId: 'forgetRecipient',
    summary: "Delete a person's mail address and id; the counts stay, anonymously",
    role: 'author',
    params,
    action: 'recipient.forget',
    answers: { 204: { description: 'the person is forgotten, or was before' } },
    async handle({ deps, params: { recipient } }) {
      if (!(await forget(deps.author, recipient)))
        throw new ClickledgerError('not-found', `there is no recipient with the number ${recipient}`);
      await copyFlags(deps, recipient);
      return { status: 204 };
    },
  }),
];

// The text of an id in a URL or a letter has the same limits as in `personFields`.
export const personInLine = z.strictObject({ ...personFields, columns: z.record(text(255), text(10_000)).optional() });
