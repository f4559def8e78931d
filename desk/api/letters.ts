import type { Readable } from 'node:stream';
import { z } from 'zod';
import { SENDERS } from '../../authoring/letter/senders.ts';
import { keepLetter } from '../../authoring/keep-letter.ts';
import { createMergeForm } from '../../authoring/merge-list.ts';
import { REJECT_REASONS } from '../../authoring/list-file.ts';
import { baseUrlsOf } from '../../authoring/base-urls.ts';
import { type LetterOptions, prepareLetter, resolvePeople } from '../../authoring/prepare-letter.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { answerLines, type Line, type LineResult, NDJSON, readLines } from './ndjson.ts';
import { InputError } from './problems.ts';
import { baseUrlIn, openCampaign } from './open-campaign.ts';
import { personInLine, personOf } from './recipients.ts';
import { type Answer, type ApiDeps, type Context, json, route } from './route.ts';
import { id, idInPath, LineProblem, named, text, time } from './schemas.ts';
import { assertSigns } from '../../authoring/signing-key.ts';

// The resource `letters`: a letter in, tracked letters out.

/** The HTML and the text of a letter together, in a body of JSON or in the first line of NDJSON. */
const MAX_LETTER_BYTES = 4 * 1024 * 1024;
const MAX_PERSON_BYTES = 65_536;
/** Letters are made in groups of this size, because a group of letters is in memory as text. */
const LETTERS_AT_ONCE = 100;
/** The letters of a group have at most so many characters together, unless one letter alone is longer. */
const MAX_GROUP_LENGTH = 4 * 1024 * 1024;
/** A letter with the values of its columns has at most so many characters. */
const MAX_FILLED_LENGTH = 8 * 1024 * 1024;

const part = text(MAX_LETTER_BYTES, 1);
const letterFields = {
  html: part.optional(),
  text: part.optional(),
  exclude: z.array(text(255, 1)).max(1000).optional().describe('links to these domains and their subdomains are not tracked'),
  track_unsubscribe: z.boolean().optional(),
  utm: z.record(text(64), text(1000)).optional().describe('the utm_ parameters that are added, without the prefix'),
  pixel: z.enum(['top', 'bottom', 'none']).optional(),
  honeypot: z.boolean().optional(),
  expires_at: time.optional().describe('the time from which the links lead to the fallback of the campaign'),
  despite_missing: z.boolean().optional().describe('make letters although requests to unsubscribe may be missing'),
  merge: z.enum(SENDERS).optional().describe('give the letter merge tags for this mail service'),
};
const Letter = named('Letter', z.strictObject(letterFields));
const LetterWithFill = z.strictObject({
  ...letterFields,
  fill: z.boolean().optional().describe('replace {{name}} by the column of the person'),
});
type Letter = z.infer<typeof LetterWithFill>;

const links = z.array(z.object({ id, part: z.enum(['html', 'text']), target: z.string(), label: z.string() }));
const kept = z.array(z.object({ part: z.enum(['html', 'text']), address: z.string(), reason: z.string() }));
const head = {
  links: links.describe('the links that are tracked'),
  kept: kept.describe('the links that are not tracked, with the reason'),
  html: z.string().optional(),
  text: z.string().optional(),
  columns: z.array(z.string()).optional().describe('only with `merge`: the columns that the tags name'),
};
const TrackedLetter = named('TrackedLetter', z.object(head));
const LetterLine = named(
  'LetterLine',
  z.union([LetterWithFill, personInLine]).describe('the first line is the letter, and each other line a person'),
);
const LetterResult = named(
  'LetterResult',
  z.union([
    z.object({ line: z.literal(1), ...head }).describe('the answer to the first line; html and text only with `merge`'),
    z
      .object({
        line: id,
        recipient: id,
        html: z.string().optional(),
        text: z.string().optional(),
        unsubscribe: z.string().optional(),
        values: z.record(z.string(), z.string()).optional(),
      })
      .describe('the letter of a person; with `merge`, the values of the columns'),
    z.object({ line: id, rejected: z.enum(REJECT_REASONS) }),
    LineProblem,
  ]),
);

const optionsOf = (letter: Letter): LetterOptions => ({
  ...(letter.html === undefined ? {} : { html: letter.html }),
  ...(letter.text === undefined ? {} : { text: letter.text }),
  ...(letter.exclude === undefined ? {} : { exclude: letter.exclude }),
  ...(letter.utm === undefined ? {} : { utm: letter.utm }),
  ...(letter.pixel === undefined ? {} : { pixel: letter.pixel }),
  ...(letter.expires_at === undefined ? {} : { expires: letter.expires_at }),
  trackUnsubscribe: letter.track_unsubscribe ?? false,
  honeypot: letter.honeypot ?? false,
  despiteMissing: letter.despite_missing ?? false,
  fill: letter.fill ?? false,
});

async function prepare(deps: ApiDeps, campaign: number, letter: Letter) {
  const { author, config } = deps;
  if (letter.merge !== undefined && letter.fill === true)
    throw new InputError('with `merge`, the mail service fills in the columns', [
      { pointer: '/fill', message: 'leave it out with `merge`' },
    ]);
  await assertSigns(author, config.SLUG_KEYS);
  const baseUrl = baseUrlIn(deps, await openCampaign(deps, campaign));
  const made = await prepareLetter(
    { pool: author, baseUrl, baseUrls: baseUrlsOf(config), keys: config.SLUG_KEYS },
    campaign,
    optionsOf(letter),
    'despite_missing',
  );
  const form = letter.merge === undefined ? undefined : createMergeForm(made.tracked, letter.merge);
  return {
    ...made,
    form,
    head: {
      links: made.prepared.links,
      kept: made.prepared.kept,
      ...(form && { columns: form.columns, ...texts({ html: form.html?.toString('utf8'), text: form.text?.toString('utf8') }) }),
    },
  };
}

const texts = ({ html, text: plain }: { html?: string | undefined; text?: string | undefined }) => ({
  ...(html === undefined ? {} : { html }),
  ...(plain === undefined ? {} : { text: plain }),
});

export const letterRoutes = [
  route({
    method: 'POST',
    path: '/campaigns/{campaign}/letters',
    operationId: 'prepareLetters',
    summary: 'Track the links of a letter',
    description:
      'With JSON, the answer is one letter: with links that all people share, or with merge tags. With NDJSON, the first line is the letter and each other line a person, and the answer has the letter of each person. Read the answer while you send the body.',
    role: 'author',
    params: z.object({ campaign: idInPath }),
    body: Letter,
    maxBodyBytes: MAX_LETTER_BYTES + 65_536,
    line: LetterLine,
    isLong: true,
    action: 'letter.prepare',
    answers: {
      200: {
        description: 'the letter, or the results of the lines',
        content: { 'application/json': TrackedLetter, [NDJSON]: LetterResult },
      },
    },
    async handle({ deps, params: { campaign }, body, note }) {
      const made = await prepare(deps, campaign, body);
      if (made.form !== undefined) await keepLetter(deps.author, campaign, made.tracked);
      note({ links: made.prepared.links.length });
      return json(200, { ...made.head, ...(made.form === undefined ? texts(made.prepared.shared()) : {}) });
    },
    handleLines: lettersOf,
  }),
];

function* groupsOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}

/** Makes the letters of people. The first line must be the letter, so a mistake in it is the answer to the whole request. */
async function lettersOf({
  deps,
  params: { campaign },
  body,
  note,
  recheck,
}: Context<{ campaign: number }, undefined, Readable>): Promise<Answer> {
  type Value = Letter | z.infer<typeof personInLine>;
  const schemaOf = (line: number): { schema: z.ZodType<Value>; maxBytes: number } =>
    line === 1 ? { schema: LetterWithFill, maxBytes: MAX_LETTER_BYTES + 65_536 } : { schema: personInLine, maxBytes: MAX_PERSON_BYTES };
  const chunks = readLines<Value>(body, schemaOf, LETTERS_AT_ONCE);
  const first = await chunks.next();
  const [letterLine, ...others] = first.done === true ? [] : first.value;
  if (letterLine === undefined || letterLine.line !== 1) throw new InputError('the first line must be the letter', []);
  if ('mistake' in letterLine)
    throw new InputError(`the first line must be the letter: ${letterLine.mistake.detail}`, letterLine.mistake.errors ?? []);
  const { prepared, tracked, letterOf, form, head: answerHead } = await prepare(deps, campaign, letterLine.value as Letter);
  await keepLetter(deps.author, campaign, tracked);
  note({ links: prepared.links.length });

  const letter = letterLine.value as Letter;
  const source = (letter.html ?? '') + (letter.text ?? '');
  const atOnce = Math.max(1, Math.min(LETTERS_AT_ONCE, Math.floor(MAX_GROUP_LENGTH / (source.length + 1))));
  const columnsInLetter = source.split('{{').length - 1;

  async function* people(): AsyncGenerator<Line<z.infer<typeof personInLine>>[]> {
    yield* groupsOf(others as Line<z.infer<typeof personInLine>>[], atOnce);
    for await (const chunk of chunks as AsyncGenerator<Line<z.infer<typeof personInLine>>[]>) yield* groupsOf(chunk, atOnce);
  }
  async function work(lines: { value: z.infer<typeof personInLine> }[]): Promise<LineResult[]> {
    await recheck();
    const found = await explainErrors(() =>
      resolvePeople(
        deps.author,
        lines.map(({ value }) => personOf(value)),
        campaign,
      ),
    );
    return found.map((each, i) => (typeof each === 'string' ? { rejected: each } : resultOf(each, lines[i]?.value.columns ?? {})));
  }
  function resultOf(recipient: { id: number; optedOut: boolean }, columns: Record<string, string>): LineResult {
    if (form !== undefined) {
      const values = form.valuesOf(recipient);
      return { recipient: recipient.id, values: Object.fromEntries(form.columns.map((column, i) => [column, values[i]])) };
    }
    // Each place of a column may get the longest value.
    const longest = Math.max(0, ...Object.values(columns).map((value) => value.length));
    if (source.length + columnsInLetter * longest > MAX_FILLED_LENGTH)
      return {
        problem: { code: 'bad-input', detail: `with these columns, the letter could be longer than ${MAX_FILLED_LENGTH} characters` },
      };
    try {
      return { recipient: recipient.id, ...letterOf(recipient, { columns }) };
    } catch (error) {
      // The person lacks a column.
      if (!(error instanceof ClickledgerError && error.code === 'bad-input')) throw error;
      return { problem: { code: error.code, detail: error.message } };
    }
  }
  async function* answer(): AsyncGenerator<string> {
    yield `${JSON.stringify({ line: 1, ...answerHead })}\n`;
    yield* answerLines(people(), work, (lines, mistakes) => note({ people: lines, mistakes }));
  }
  return { status: 200, type: NDJSON, stream: answer() };
}
