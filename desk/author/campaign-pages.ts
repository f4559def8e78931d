import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Campaign, editCampaign, ensureCampaign, markSent, readCampaign, setClosed } from '../../authoring/campaigns.ts';
import { ensureLink, type LinkRow, listLinks } from '../../authoring/links.ts';
import { parseTime } from '../../authoring/parse-time.ts';
import { parseTarget } from '../../authoring/target.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors, transaction } from '../../core/postgres.ts';
import { MAX_TARGET_BYTES } from '../../core/target.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { requireRole, takeForm } from '../team/access.ts';
import { moment, tableOf } from '../team/format.ts';
import { idOf } from '../team/page-tools.ts';
import { empty } from '../views/components.ts';
import type { Content } from '../views/frame.ts';
import { alertOf, type AuthorTools, changeForm, makeChange, type Mistake, textOf, whichOf } from './tools.ts';

// The page that creates a campaign, and the page that changes one and has its links.

const CREATE = ['create'] as const;
const MANAGE = ['fallback', 'sent', 'sent-now', 'not-sent', 'close', 'reopen', 'add-link'] as const;

const FALLBACK_NOTE = 'The page to which expired and disabled links lead. Without it, they lead to a page that says so.';

/** The state of a link: disabled, expired or the time at which it expires. */
export function stateOf({ disabled_at, expires_at }: Pick<LinkRow, 'disabled_at' | 'expires_at'>, zone: string): Markup {
  if (disabled_at !== null) return html`disabled ${moment(disabled_at, zone)}`;
  if (expires_at === null) return html`active`;
  return html`${expires_at.getTime() <= Date.now() ? 'expired' : 'active, expires'} ${moment(expires_at, zone)}`;
}

/** Adds the pages to an app. */
export function addCampaignPages(app: FastifyInstance, tools: AuthorTools): void {
  const { author, zone, sendPage } = tools;

  async function newPage(request: FastifyRequest, mistake?: Mistake): Promise<Content> {
    const path = '/new-campaign';
    return {
      title: 'New campaign',
      breadcrumbs: [{ href: path, text: 'New campaign' }],
      isFinal: true,
      body: html`<h1>New campaign</h1>
${alertOf(mistake)}
<p class="question">A campaign is one letter that you send, with its links and its counts.</p>
${changeForm(
  request,
  path,
  'create',
  'Create the campaign',
  [
    { name: 'name', label: 'Name', isRequired: true, note: 'The name cannot be changed later.' },
    { name: 'fallback', label: 'Fallback (optional)', type: 'url', note: FALLBACK_NOTE },
  ],
  mistake,
)}`,
    };
  }

  async function managePage(request: FastifyRequest, id: number, mistake?: Mistake): Promise<Content> {
    const [campaign, links] = await explainErrors(() => Promise.all([readCampaign(author, id), listLinks(author, id)]));
    const path = `/campaign/${id}/manage`;
    const form = (...[which, text, fields]: [(typeof MANAGE)[number], string, Parameters<typeof changeForm>[4]]) =>
      changeForm(request, path, which, text, fields, mistake);
    return {
      title: `Manage ${campaign.name}`,
      breadcrumbs: [
        { href: `/campaign/${id}`, text: campaign.name },
        { href: path, text: 'Manage' },
      ],
      isFinal: true,
      body: html`<h1>Manage ${campaign.name}</h1>
${alertOf(mistake)}
<section id="links" aria-labelledby="links-title"><h2 id="links-title">Links</h2>
${links.length === 0 ? empty('This campaign has no links yet. Links of letters are added when the letter is prepared.') : linksTable(id, links, zone)}
${
  campaign.closed_at === null
    ? form('add-link', 'Add the link', [
        { name: 'target', label: 'Target', type: 'url', isRequired: true, note: 'The page to which the link leads.' },
        { name: 'label', label: 'Label (optional)', note: 'Links to the same page with different labels are counted separately.' },
      ])
    : html`<p class="note">The campaign is closed, so no link can be added.</p>`
}</section>
<section aria-labelledby="fallback-title"><h2 id="fallback-title">Fallback</h2>
${form('fallback', 'Save', [{ name: 'fallback', label: 'Fallback', type: 'url', value: campaign.fallback ?? '', note: FALLBACK_NOTE }])}</section>
<section aria-labelledby="sent-title"><h2 id="sent-title">Time of sending</h2>
<p>${campaign.sent_at === null ? 'The time of sending is not recorded.' : html`Sent ${moment(campaign.sent_at, zone)}.`} Reports count from this time. These buttons only record it: they send no mail.</p>
${form('sent-now', 'Sent now', [])}
${form('sent', 'Record this time', [{ name: 'at', label: `Sent at (${zone})`, type: 'datetime-local', isRequired: true }])}
${campaign.sent_at !== null && form('not-sent', 'Remove the time', [])}</section>
<section aria-labelledby="end-title"><h2 id="end-title">${campaign.closed_at === null ? 'Close' : 'Reopen'}</h2>
<p>${campaign.closed_at !== null && html`Closed ${moment(campaign.closed_at, zone)}. `}In a closed campaign, no new links and letters are made. Its links still work and are counted.</p>
${campaign.closed_at === null ? form('close', 'Close the campaign', []) : form('reopen', 'Reopen the campaign', [])}</section>`,
    };
  }

  app.get('/new-campaign', requireRole('author'), async (request, reply) => sendPage(reply, 200, await newPage(request)));

  app.post('/new-campaign', takeForm('author'), (request, reply) =>
    makeChange(tools, request, reply, {
      action: 'campaign.create',
      object: '',
      again: (mistake) => newPage(request, mistake),
      async work(fields, note) {
        whichOf(fields, CREATE);
        const name = textOf(fields, 'name');
        const fallbackUrl = urlIn(fields, 'fallback') ?? null;
        // A campaign that exists must not change, so its fallback is set only if the campaign is new.
        const { id, created } = await transaction(author, async (client) => {
          const ensured = await ensureCampaign(client, name);
          if (ensured.created) await editCampaign(client, ensured.id, { fallbackUrl });
          return ensured;
        });
        if (!created)
          throw new ClickledgerError('conflict', `there is already a campaign '${name}', with the number ${id}: choose another name`);
        note({ campaign: id, created });
        return `/campaign/${id}`;
      },
    }),
  );

  app.get<{ Params: { id: string } }>('/campaign/:id/manage', requireRole('author'), async (request, reply) =>
    sendPage(reply, 200, await managePage(request, idOf(request.params.id))),
  );

  app.post<{ Params: { id: string } }>('/campaign/:id/manage', takeForm('author'), (request, reply) => {
    const id = idOf(request.params.id);
    return makeChange(tools, request, reply, {
      action: request.body instanceof URLSearchParams && request.body.get('do') === 'add-link' ? 'link.create' : 'campaign.change',
      object: `campaign ${id}`,
      again: (mistake) => managePage(request, id, mistake),
      async work(fields, note) {
        const which = whichOf(fields, MANAGE);
        const campaign = await readCampaign(author, id);
        note(await change(campaign, which, fields));
        return `/campaign/${id}/manage`;
      },
    });
  });

  /** Makes a change of the page of a campaign. Returns the facts for the log. */
  async function change(
    { id, closed_at }: Campaign,
    which: (typeof MANAGE)[number],
    fields: URLSearchParams,
  ): Promise<{ fields: string[] } | { link: number }> {
    switch (which) {
      case 'fallback':
        await editCampaign(author, id, { fallbackUrl: urlIn(fields, 'fallback') ?? null });
        return { fields: ['fallback'] };
      case 'sent':
        await markSent(author, id, timeIn(fields, 'at', zone) ?? noTime());
        return { fields: ['sent_at'] };
      case 'sent-now':
        await markSent(author, id, new Date());
        return { fields: ['sent_at'] };
      case 'not-sent':
        await markSent(author, id, null);
        return { fields: ['sent_at'] };
      case 'close':
      case 'reopen':
        await setClosed(author, id, which === 'close');
        return { fields: ['closed'] };
      case 'add-link': {
        const target = textOf(fields, 'target', MAX_TARGET_BYTES);
        const label = textOf(fields, 'label');
        if (closed_at !== null) throw new ClickledgerError('conflict', 'the campaign is closed: reopen it to add a link');
        return { link: await ensureLink(author, id, { kind: 'url', target, label }) };
      }
    }
  }
}

function noTime(): never {
  throw new ClickledgerError('bad-input', 'the time is missing');
}

/** Returns the URL in a field that may be empty. Throws `bad-input` if it cannot be the target of a link. */
function urlIn(fields: URLSearchParams, name: string): string | undefined {
  const text = textOf(fields, name, MAX_TARGET_BYTES);
  return text === '' ? undefined : parseTarget(text);
}

/** Returns the time in a field that may be empty. Without an offset, it is a local time of the zone. */
export function timeIn(fields: URLSearchParams, name: string, zone: string): Date | undefined {
  const text = textOf(fields, name, 100);
  return text === '' ? undefined : parseTime(text, zone);
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  pixel: 'Pixel',
  unsubscribe: 'Link for unsubscribing',
  honeypot: 'Hidden link',
};

const linksTable = (campaign: number, links: readonly LinkRow[], zone: string): Markup =>
  tableOf(
    'links of the campaign',
    ['Link', 'Place', 'Label', 'Target', 'State', 'Aliases'],
    links.map((link) => [
      link.kind === 'url'
        ? html`<a href="/campaign/${campaign}/link/${link.id}/manage">Link ${link.id}</a>`
        : (KIND_NAMES[link.kind] ?? link.kind),
      link.position ?? '–',
      link.label === '' ? '–' : link.label,
      link.target ?? '–',
      stateOf(link, zone),
      link.aliases.length === 0 ? '–' : link.aliases.join(', '),
    ]),
  );
