import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../core/config.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import type { AuditDetails, AuditLog } from '../api/audit.ts';
import { expectedError, statusOf } from '../failures.ts';
import { type SendPage, sessionOf } from '../team/access.ts';
import { fieldsOf, formTokenField } from '../team/forms.ts';
import { type Content, errorNote } from '../views/frame.ts';

// What the pages of authors share: how a form changes something, and how its fields are read and shown.
//
//   POST ──► row in the log ──► the change ──done──► 303 to a page
//                                   └──mistake in the input──► the form again, with its values and a message
//
// The row is written before the change, so no change is without a row, even if the desk dies.

/** The settings and connections of the pages for authors. They are those of the HTTP API. */
export interface AuthorOptions {
  config: Config<'BASE_URL' | 'BASE_URLS' | 'AUTHOR_URL' | 'SLUG_KEYS' | 'SHARDS'>;
  /** Connects as the author. */
  author: Pool;
  /** Connects as the author. It is only for the log, so that long requests do not delay it. */
  keys: Pool;
}

export interface AuthorTools extends AuthorOptions {
  /** The time zone of the times that authors read and type. */
  zone: string;
  audit: AuditLog;
  sendPage: SendPage;
}

/** A form that was not accepted, as it is shown again. */
export interface Mistake {
  message: string;
  fields: URLSearchParams;
}

/** A change that a form asks for. */
interface Change {
  /** The kind of change and its object in the log. The object never has a mail address. */
  action: string;
  object: string;
  /** Makes the change. Returns the path to go to. `note` adds facts to the log. */
  work: (fields: URLSearchParams, note: (facts: AuditDetails) => void) => Promise<string>;
  /** Builds the page with the form, for an input that is not accepted. */
  again: (mistake: Mistake) => Promise<Content>;
}

/** Makes the change of a form, and answers the request. */
export async function makeChange(
  { audit, sendPage }: Pick<AuthorTools, 'audit' | 'sendPage'>,
  request: FastifyRequest,
  reply: FastifyReply,
  { action, object, work, again }: Change,
): Promise<FastifyReply> {
  const fields = fieldsOf(request);
  const session = sessionOf(request);
  const entry = await explainErrors(() => audit.begin(session === undefined ? 'anyone' : { session: session.hash }, action, object));
  const facts: AuditDetails = {};
  try {
    const to = await explainErrors(() => work(fields, (more) => void Object.assign(facts, more)));
    await entry.end(303, facts);
    return reply.redirect(to, 303);
  } catch (error) {
    const expected = expectedError(error);
    const status = expected?.code === 'conflict' ? 409 : expected === undefined ? 500 : statusOf(expected);
    await entry.end(status, facts);
    if (expected === undefined || (status !== 400 && status !== 409)) throw error;
    return sendPage(reply, status, await again({ message: expected.message, fields }));
  }
}

const CONTROLS = /\p{Cc}/gu;

/**
 * Returns the text of a field without the spaces around it. Throws `bad-input` for control characters, which a field of one line cannot have,
 * and for a text with more than `maxBytes` bytes.
 */
export function textOf(fields: URLSearchParams, name: string, maxBytes = 2000): string {
  const text = (fields.get(name) ?? '').trim();
  if (text.search(CONTROLS) >= 0)
    throw new ClickledgerError('bad-input', 'the input has a control character, such as a line break: remove it');
  if (Buffer.byteLength(text) > maxBytes) throw new ClickledgerError('bad-input', `the input is longer than ${maxBytes} bytes: shorten it`);
  return text;
}

/** The mistake in a form, which screen readers read out. It stands at the top of the page. */
export const alertOf = (mistake: Pick<Mistake, 'message'> | undefined): Markup | undefined =>
  mistake && html`<div role="alert">${errorNote(printable(mistake.message))}</div>`;

/** Replaces control characters, which HTML does not allow. */
const printable = (text: string): string => text.replaceAll(CONTROLS, ' ');

/** A labelled field of one line. */
export interface Field {
  name: string;
  label: string;
  type?: 'text' | 'url' | 'datetime-local';
  value?: string;
  note?: Markup | string;
  isRequired?: boolean;
}

/**
 * Renders a form whose first hidden field `do` says which form of the page it is. If it was sent with a mistake, its fields have the values
 * that were sent.
 */
export function changeForm(
  request: FastifyRequest,
  action: string,
  which: string,
  text: string,
  fields: readonly Field[],
  mistake?: Mistake,
): Markup {
  const sent = mistake?.fields.get('do') === which ? mistake.fields : undefined;
  const id = (name: string): string => `${which}-${name}`;
  return html`<form action="${action}" method="post">${formTokenField(sessionOf(request))}<input type="hidden" name="do" value="${which}">${fields.map(
    ({ name, label, type = 'text', value = '', note, isRequired = false }) =>
      html`<div${type === 'url' && html` class="long"`}><label for="${id(name)}">${label}</label><input id="${id(name)}" name="${name}" type="${type}" value="${printable(sent?.get(name) ?? value)}" autocomplete="off"${isRequired && html` required`}${note !== undefined && html` aria-describedby="${id(name)}-note"`}>${note !== undefined && html`<small id="${id(name)}-note">${note}</small>`}</div>
`,
  )}<div><button>${text}</button></div></form>`;
}

/** Returns which form of a page was sent. Throws `bad-input` for a form that the page does not have. */
export function whichOf<const T extends readonly string[]>(fields: URLSearchParams, known: T): T[number] {
  const found = known.find((which) => which === fields.get('do'));
  if (found === undefined) throw new ClickledgerError('bad-input', 'this page has no such form: open it again');
  return found;
}
