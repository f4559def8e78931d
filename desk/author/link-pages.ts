import type { FastifyInstance, FastifyRequest } from 'fastify';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { campaignOfLink, type FoundCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, type LinkRow, readLink, retarget, setDisabled, setExpiry } from '../../authoring/links.ts';
import { qrSvg } from '../../authoring/qr.ts';
import { assertSigns } from '../../authoring/signing-key.ts';
import { createUrls } from '../../authoring/urls.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { MAX_TARGET_BYTES } from '../../core/target.ts';
import { utcOffsetMs } from '../../core/time-zone.ts';
import { html, type Markup, trusted } from '../../reporting/format/markup.ts';
import { requireRole, takeForm } from '../team/access.ts';
import { idOf } from '../team/page-tools.ts';
import type { Content } from '../views/frame.ts';
import { part } from '../views/reader.ts';
import { stateOf, timeIn } from './campaign-pages.ts';
import { alertOf, type AuthorTools, changeForm, makeChange, type Mistake, textOf, whichOf } from './tools.ts';

// The page that changes a link: its target, its expiry, its aliases, and the URL that all people share.

const FORMS = ['target', 'expiry', 'disable', 'enable', 'alias'] as const;

interface Params {
  id: string;
  link: string;
}

/** Adds the page of a link and its QR codes to an app. */
export function addLinkPages(app: FastifyInstance, tools: AuthorTools): void {
  const { author, config, zone, sendPage } = tools;

  /** Finds a link of a campaign. Throws `not-found` for a link of another campaign, a pixel or a link for unsubscribing. */
  async function find(params: Params): Promise<{ campaign: FoundCampaign; link: LinkRow }> {
    const [id, number] = [idOf(params.id), idOf(params.link)];
    const link = await readLink(author, number);
    const campaign = await campaignOfLink(author, number);
    if (campaign.id !== id || link.kind !== 'url')
      throw new ClickledgerError('not-found', `campaign ${id} has no link with the number ${number} that can be changed`);
    return { campaign, link };
  }

  /** Returns the shared URLs of a link. The first has its number, and the others its aliases. */
  async function sharedUrls(campaign: FoundCampaign, { id, aliases }: LinkRow): Promise<{ url: string; alias?: string }[]> {
    await assertSigns(author, config.SLUG_KEYS);
    const urls = createUrls(baseUrlOf(campaign, baseUrlsOf(config)), createSlugCodec(config.SLUG_KEYS));
    return [{ url: urls.click(id, 0) }, ...aliases.map((alias) => ({ url: urls.alias(alias), alias }))];
  }

  async function page(request: FastifyRequest, params: Params, mistake?: Mistake): Promise<Content> {
    const { campaign, link } = await explainErrors(() => find(params));
    const base = `/campaign/${campaign.id}`;
    const path = `${base}/link/${link.id}/manage`;
    const form = (...[which, text, fields]: [(typeof FORMS)[number], string, Parameters<typeof changeForm>[4]]) =>
      changeForm(request, path, which, text, fields, mistake);
    const name = link.label === '' ? `Link ${link.id}` : link.label;
    const urls = async (): Promise<Markup> => {
      const list = await explainErrors(() => sharedUrls(campaign, link));
      const qr = (alias: string | undefined): string => `${base}/link/${link.id}/qr.svg${alias === undefined ? '' : `?alias=${alias}`}`;
      return html`<ul>${list.map(
        ({ url, alias }) => html`<li><code>${url}</code> <a href="${qr(alias)}" download>QR code as SVG</a></li>
`,
      )}</ul>
<div class="qr" role="img" aria-label="QR code of ${list[0]?.url ?? ''}">${trusted(qrSvg(list[0]?.url ?? ''))}</div>`;
    };
    return {
      title: `Manage ${name}`,
      breadcrumbs: [
        { href: base, text: campaign.name },
        { href: `${base}/manage`, text: 'Manage' },
        { href: path, text: name },
      ],
      isFinal: true,
      body: html`<h1>Manage ${name}</h1>
${alertOf(mistake)}
<p class="question">Link ${link.id}, version ${link.version}, leads to ${link.target ?? '–'}. State: ${stateOf(link, zone)}.</p>
<p class="actions"><a href="${base}/link/${link.id}">Who clicked it, and when</a></p>
<section aria-labelledby="urls-title"><h2 id="urls-title">Shared URL</h2>
<p>This URL is the same for all people: its clicks are counted, but they belong to no recipient.</p>
${await part(urls)}
${form('alias', 'Add the alias', [
  {
    name: 'alias',
    label: 'Alias',
    isRequired: true,
    note: 'A readable name, such as spring-sale. It cannot be removed or given to another link.',
  },
])}</section>
<section aria-labelledby="target-title"><h2 id="target-title">Target</h2>
<p>A new target applies within seconds, also in letters that were sent. Earlier clicks keep the target of their time.</p>
${form('target', 'Change the target', [{ name: 'target', label: 'Target', type: 'url', value: link.target ?? '', isRequired: true }])}</section>
<section aria-labelledby="end-title"><h2 id="end-title">End</h2>
<p>An expired or disabled link leads to the fallback of the campaign.</p>
${form('expiry', 'Save', [
  {
    name: 'expires',
    label: `Expires at (${zone})`,
    type: 'datetime-local',
    value: link.expires_at === null ? '' : localTime(link.expires_at, zone),
    note: 'Without a time, the link does not expire.',
  },
])}
${link.disabled_at === null ? form('disable', 'Disable the link', []) : form('enable', 'Enable the link', [])}</section>`,
    };
  }

  app.get<{ Params: Params }>('/campaign/:id/link/:link/manage', requireRole('author'), async (request, reply) =>
    sendPage(reply, 200, await page(request, request.params)),
  );

  app.post<{ Params: Params }>('/campaign/:id/link/:link/manage', takeForm('author'), (request, reply) => {
    const { params } = request;
    const [campaign, number] = [idOf(params.id), idOf(params.link)];
    return makeChange(tools, request, reply, {
      action: 'link.change',
      object: `link ${number}`,
      again: (mistake) => page(request, params, mistake),
      async work(fields, note) {
        const which = whichOf(fields, FORMS);
        const { link } = await find(params);
        switch (which) {
          case 'target':
            note({ fields: ['target'], version: (await retarget(author, link.id, textOf(fields, 'target', MAX_TARGET_BYTES))).version });
            break;
          case 'expiry':
            await setExpiry(author, link.id, timeIn(fields, 'expires', zone) ?? null);
            note({ fields: ['expires_at'] });
            break;
          case 'disable':
          case 'enable':
            await setDisabled(author, link.id, which === 'disable');
            note({ fields: ['disabled'] });
            break;
          case 'alias':
            await ensureAlias(author, textOf(fields, 'alias'), link.id);
            note({ fields: ['alias'] });
            break;
        }
        return `/campaign/${campaign}/link/${number}/manage`;
      },
    });
  });

  app.get<{ Params: Params; Querystring: { alias?: string | string[] } }>(
    '/campaign/:id/link/:link/qr.svg',
    requireRole('author'),
    async (request, reply) => {
      const { alias } = request.query;
      const { campaign, link } = await explainErrors(() => find(request.params));
      const found = (await explainErrors(() => sharedUrls(campaign, link))).find((each) => each.alias === alias);
      if (found === undefined) throw new ClickledgerError('not-found', 'this link has no such alias');
      return reply
        .headers({
          'content-security-policy': `default-src 'none'; sandbox`,
          'content-disposition': `attachment; filename="${found.alias ?? `link-${link.id}`}.svg"`,
        })
        .type('image/svg+xml')
        .send(qrSvg(found.url));
    },
  );
}

/** The local time of a zone in the form of a field of type datetime-local. It has seconds only if they are not 0. */
function localTime(at: Date, zone: string): string {
  const clock = new Date(at.getTime() + utcOffsetMs(zone, at.getTime()));
  return Number.isNaN(clock.getTime()) ? '' : clock.toISOString().slice(0, 19).replace(/:00$/, '');
}
