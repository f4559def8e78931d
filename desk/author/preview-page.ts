import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify';
import { baseUrlsOf } from '../../authoring/base-urls.ts';
import type { KeepReason } from '../../authoring/letter/decide.ts';
import { summariseKept } from '../../authoring/letter/kept-links.ts';
import { leftoverTags } from '../../authoring/letter/leftover-tags.ts';
import { createLineCounter } from '../../authoring/letter/line-counter.ts';
import { type LinkRow, linkRows } from '../../authoring/letter/link-rows.ts';
import type { LetterPlan } from '../../authoring/letter/plan.ts';
import { assertIsLetter, formatOf } from '../../authoring/letter/recognise-file.ts';
import { arePrepared, type LetterParts, planParts } from '../../authoring/track-letter.ts';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { requireRole, sessionOf, takeForm } from '../team/access.ts';
import { fieldsOf, formTokenField } from '../team/forms.ts';
import { tableOf } from '../team/format.ts';
import { cards, empty } from '../views/components.ts';
import type { Content } from '../views/frame.ts';
import { alertOf, type AuthorTools } from './tools.ts';
import { addUploadParser, MAX_UPLOAD_BYTES, UploadForm, type UploadedFile } from './upload.ts';

// The page that shows what `prepare --dry-run` shows. Nothing is stored: neither the letter nor its links.

/** The page lists at most so many links, and so many places of a warning. */
const MOST_LINKS = 500;
const MOST_PLACES = 20;

const REASONS: Readonly<Record<KeepReason, string>> = {
  empty: 'it has no address',
  anchor: 'it leads to a place in the letter',
  'not-http': 'it is not a web address',
  relative: 'the address is relative, and the letter has no <base href>',
  malformed: 'the address is not a URL',
  'too-long': 'the address is too long',
  'merge-tag': 'the address has a merge tag',
  'already-tracked': 'it is tracked already',
  'no-track': 'it has the attribute data-no-track',
  'excluded-domain': 'its domain is excluded',
  unsubscribe: 'it is for unsubscribing',
  preferences: 'it is for preferences',
  'view-in-browser': 'it shows the letter in the browser',
  'report-abuse': 'it is for reporting abuse',
};

/** Adds the page to an app. */
export function addPreviewPage(app: FastifyInstance, { config, sendPage }: Pick<AuthorTools, 'config' | 'sendPage'>): void {
  function page(request: FastifyRequest, given: { message?: string; pasted?: string; result?: Markup } = {}): Content {
    const { message, pasted = '', result } = given;
    return {
      title: 'Preview a letter',
      breadcrumbs: [{ href: '/preview', text: 'Preview' }],
      isFinal: true,
      body: html`<h1>Preview a letter</h1>
${alertOf(message === undefined ? undefined : { message })}
<p class="question">See which links would be tracked, and which would not and why. Nothing is stored.</p>
${result}
<form action="/preview" method="post" enctype="multipart/form-data">${formTokenField(sessionOf(request))}
<div><label for="html">HTML of the letter, as a file</label><input id="html" name="html" type="file" accept=".html,.htm,text/html" aria-describedby="html-note"><small id="html-note">Choose a file, or drop it here.</small></div>
<div><label for="text">Text part, as a file (optional)</label><input id="text" name="text" type="file" accept=".txt,text/plain"></div>
<div class="wide-field"><label for="pasted">Or paste the HTML</label><textarea id="pasted" name="pasted" rows="10" spellcheck="false" autocomplete="off">
${withoutNul(pasted)}</textarea></div>
<div><button>Preview</button></div></form>`,
    };
  }

  app.register(async (scope) => {
    addUploadParser(scope);

    // The form is too long before it is read, so nothing of it can be shown again.
    scope.setErrorHandler((error: FastifyError, request, reply) => {
      if (codeOf(error) !== 'FST_ERR_CTP_BODY_TOO_LARGE') throw error;
      return sendPage(reply, 400, page(request, { message: `the files are larger than ${MAX_UPLOAD_BYTES / 1024 / 1024} MB together` }));
    });

    scope.get('/preview', requireRole('author'), async (request, reply) => sendPage(reply, 200, page(request)));

    scope.post('/preview', { ...takeForm('author'), bodyLimit: MAX_UPLOAD_BYTES }, async (request, reply) => {
      const fields = fieldsOf(request);
      const pasted = fields.get('pasted') ?? '';
      try {
        const result = resultOf(fields instanceof UploadForm ? fields.files : new Map(), pasted, baseUrlsOf(config));
        return sendPage(reply, 200, page(request, { pasted, result }));
      } catch (error) {
        if (!(error instanceof ClickledgerError && error.code === 'bad-input')) throw error;
        return sendPage(reply, 400, page(request, { pasted, message: error.message }));
      }
    });
  });
}

/** HTML has no NUL. */
const withoutNul = (text: string): string => text.replaceAll('\0', '\ufffd');

/** Plans a letter, and renders the plan. Throws `bad-input` if it is not a letter. */
function resultOf(files: ReadonlyMap<string, UploadedFile>, pasted: string, baseUrls: readonly string[]): Markup {
  const isPasted = pasted.trim() !== '';
  const plans = planParts(partsOf(files, isPasted ? pasted : undefined), {
    baseUrls,
    exclude: [],
    trackUnsubscribe: false,
    utm: {},
    pixel: 'bottom',
    // A pasted letter is in UTF-8, even if its <meta> names another charset. The text part may have another charset.
    isConverted: isPasted,
  });
  const parts = [plans.html, plans.text].filter((plan) => plan !== undefined);
  const rows = linkRows(parts);
  const tracked = rows.filter(({ what }) => what === 'tracked').length;
  return html`<section aria-labelledby="result"><h2 id="result">Result</h2>
${cards([
  { name: 'Links that would be tracked', value: String(tracked) },
  { name: 'Links that would be kept', value: String(rows.length - tracked) },
])}
${arePrepared(plans) && html`<p class="warning">This letter is already prepared, and would not be changed.</p>`}
<p>${pixelNote(plans.html)}</p>
${warningsOf(parts)}
${rows.length === 0 ? empty('The letter has no links.') : linksTable(rows)}
${rows.length > MOST_LINKS && html`<p class="note">The first ${MOST_LINKS} of ${rows.length} links.</p>`}</section>`;
}

/** Returns the parts of the letter that was sent. A text file in the field for HTML is the text part. */
function partsOf(files: ReadonlyMap<string, UploadedFile>, pasted: string | undefined): LetterParts {
  const [first, text] = [files.get('html'), files.get('text')];
  const refuse = (message: string): never => {
    throw new ClickledgerError('bad-input', message);
  };
  if (first !== undefined && pasted !== undefined)
    refuse('the letter is there twice: choose a file, or paste the HTML, and leave out the other');
  if (first === undefined && text === undefined && pasted === undefined) refuse('the letter is missing: choose a file, or paste the HTML');
  if (text !== undefined) assertIsLetter(text.bytes, 'text', text.name);
  const source = pasted === undefined ? first : { name: 'the pasted text', bytes: Buffer.from(pasted) };
  if (source === undefined) return { text: text?.bytes };
  const format = formatOf(source.name, source.bytes);
  switch (format) {
    case 'markdown':
    case 'mjml':
      return refuse('the preview takes HTML and plain text. `clickledger prepare --dry-run` takes Markdown and MJML');
    case 'text':
      if (text !== undefined) refuse(`${source.name} is a text, and there is another text part: leave out one of them`);
      assertIsLetter(source.bytes, 'text', source.name);
      return { text: source.bytes };
    case 'html':
      assertIsLetter(source.bytes, 'html', source.name);
      return { html: source.bytes, text: text?.bytes };
  }
}

function pixelNote(plan: LetterPlan | undefined): string {
  if (plan === undefined) return 'There is no HTML part, so opens would not be counted.';
  if (plan.pixelAt === undefined) return 'The letter already has a pixel.';
  return `The pixel, which counts opens, would be added in line ${createLineCounter(plan.text)(plan.pixelAt)} of the HTML.`;
}

/** Renders what the author should look at before the letter is sent. */
function warningsOf(parts: readonly LetterPlan[]): Markup {
  const { suspicious } = summariseKept(parts);
  const tags = parts.flatMap(leftoverTags);
  const list = (title: string, places: readonly { part: string; line: number; what: string }[]): Markup | false =>
    places.length > 0 &&
    html`<div class="warning"><p>${title}</p><ul>${places.slice(0, MOST_PLACES).map(
      ({ part, line, what }) => html`<li>${part}, line ${line}: ${withoutNul(what)}</li>
`,
    )}</ul>${places.length > MOST_PLACES && html`<p>And ${places.length - MOST_PLACES} more.</p>`}</div>`;
  return html`${parts.flatMap(({ warnings }) => warnings).map((warning) => html`<p class="warning">${withoutNul(warning)}</p>`)}
${list(
  'These addresses lead nowhere. Check their spelling.',
  suspicious.map(({ part, line, address }) => ({ part, line, what: address })),
)}
${list(
  'These tags are of a mail service, or misspelled. clickledger does not fill them in. It fills in {{name}}.',
  tags.map(({ part, line, text, sender }) => ({ part, line, what: sender === undefined ? text : `${text} (${sender})` })),
)}`;
}

const linksTable = (rows: readonly LinkRow[]): Markup =>
  tableOf(
    'links of the letter',
    ['Address', 'Part', 'Line', 'What', 'Words'],
    rows
      .slice(0, MOST_LINKS)
      .map(({ part, line, what, address, words }) => [
        address === '' ? '–' : withoutNul(address),
        part,
        line,
        what === 'tracked' ? html`<b>tracked</b>` : html`kept: ${REASONS[what]}`,
        withoutNul(words),
      ]),
  );
