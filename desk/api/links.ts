import { z } from 'zod';
import { campaignOfLink, readCampaign } from '../../authoring/campaigns.ts';
import {
  ensureAlias,
  ensureLink,
  findUrlLink,
  type LinkRow,
  type LinkSpec,
  listLinks,
  readLink,
  retarget,
  setDisabled,
  setExpiry,
} from '../../authoring/links.ts';
import type { Urls } from '../../authoring/urls.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { openCampaign, urlsOf } from './open-campaign.ts';
import { type ApiDeps, json, route } from './route.ts';
import { id, idInPath, indexed, named, target, text, time, timeOut } from './schemas.ts';

// The resource `links`: the links of a campaign, its pixel and its link for unsubscribing.

const Link = named(
  'Link',
  z.object({
    id: id.describe('the number of the link, from which URLs can be made without a request (docs/url-format.md)'),
    kind: z.string().describe('url, pixel, unsubscribe or honeypot'),
    position: z.int().nullable(),
    label: z.string(),
    target: z.string().nullable(),
    version: z.int(),
    aliases: z.array(z.string()),
    created_at: timeOut,
    expires_at: timeOut.nullable(),
    disabled_at: timeOut.nullable(),
    url: z.string().nullable().describe('the URL that all people share; null for a link that is always for one person'),
  }),
);

const alias = text(64, 1);
const NewLink = named(
  'NewLink',
  z.strictObject({
    kind: z
      .enum(['url', 'pixel', 'unsubscribe'])
      .optional()
      .describe('the default is url; a campaign has one pixel and one link for unsubscribing'),
    target: target.optional().describe('required for a link of the kind url'),
    label: indexed().optional(),
    alias: alias.optional().describe('a readable name of the shared URL'),
    expires_at: time.optional(),
  }),
);
const LinkChanges = named(
  'LinkChanges',
  z.strictObject({
    target: target.optional(),
    alias: alias.optional(),
    expires_at: time.nullable().optional(),
    disabled: z.boolean().optional(),
  }),
);

const params = z.object({ link: idInPath });
const answer = { 200: { description: 'the link', content: { 'application/json': Link } } };

function withUrl(urls: Urls, row: LinkRow): LinkRow & { url: string | null } {
  const url = row.kind === 'url' ? urls.click(row.id, 0) : row.kind === 'pixel' ? urls.pixel(row.id, 0) : null;
  return { ...row, url };
}

async function readWithUrl(deps: ApiDeps, link: number): Promise<LinkRow & { url: string | null }> {
  const row = await readLink(deps.author, link);
  const { id: campaign, name, baseUrl } = await campaignOfLink(deps.author, link);
  return withUrl(await urlsOf(deps, { id: campaign, name, base_url: baseUrl }), row);
}

/** Returns the link that a body describes. Throws `bad-input` if fields of the body do not fit each other. */
export function specOf({
  kind = 'url',
  ...body
}: {
  kind?: 'url' | 'pixel' | 'unsubscribe' | undefined;
  target?: string | undefined;
  label?: string | undefined;
}): LinkSpec {
  if (kind !== 'url') {
    if (body.target !== undefined || body.label !== undefined)
      throw new ClickledgerError('bad-input', `a link of the kind ${kind} has no target and no label: leave them out`);
    return { kind };
  }
  if (body.target === undefined) throw new ClickledgerError('bad-input', 'a link needs a target');
  return { kind, target: body.target, ...(body.label === undefined ? {} : { label: body.label }) };
}

export const linkRoutes = [
  route({
    method: 'GET',
    path: '/campaigns/{campaign}/links',
    operationId: 'listLinks',
    summary: 'List the links of a campaign, in the order of the letter',
    role: 'author',
    params: z.object({ campaign: idInPath }),
    answers: {
      200: {
        description: 'all links',
        content: { 'application/json': named('LinkList', z.object({ links: z.array(Link) })) },
      },
    },
    async handle({ deps, params: { campaign } }) {
      const urls = await urlsOf(deps, await readCampaign(deps.author, campaign));
      return json(200, { links: (await listLinks(deps.author, campaign)).map((row) => withUrl(urls, row)) });
    },
  }),
  route({
    method: 'POST',
    path: '/campaigns/{campaign}/links',
    operationId: 'createLink',
    summary: 'Create a link in a campaign, or find it by its target and label',
    role: 'author',
    params: z.object({ campaign: idInPath }),
    body: NewLink,
    action: 'link.create',
    answers: answer,
    async handle({ deps, params: { campaign }, body, note }) {
      const spec = specOf(body);
      if (spec.kind !== 'url' && (body.alias !== undefined || body.expires_at !== undefined))
        throw new ClickledgerError('bad-input', `a link of the kind ${spec.kind} has no alias and no expiry: leave them out`);
      const urls = await urlsOf(deps, await openCampaign(deps, campaign));
      const link = await ensureLink(deps.author, campaign, spec, body.expires_at);
      note({ link });
      if (body.alias !== undefined) await ensureAlias(deps.author, body.alias, link);
      return json(200, withUrl(urls, await readLink(deps.author, link)));
    },
  }),
  route({
    method: 'GET',
    path: '/links/{link}',
    operationId: 'readLink',
    summary: 'Read a link',
    role: 'author',
    params,
    answers: answer,
    handle: async ({ deps, params: { link } }) => json(200, await readWithUrl(deps, link)),
  }),
  route({
    method: 'PATCH',
    path: '/links/{link}',
    operationId: 'changeLink',
    summary: 'Change the target or the expiry of a link, disable it, or give it an alias, also after the letter was sent',
    description: 'A new target is a new version of the link. Earlier clicks keep the version of their time.',
    role: 'author',
    params,
    body: LinkChanges,
    action: 'link.change',
    answers: answer,
    async handle({ deps, params: { link }, body, note }) {
      note({ fields: Object.keys(body) });
      // A campaign without a usable base URL is refused before anything changes.
      await readWithUrl(deps, link);
      await findUrlLink(deps.author, String(link));
      if (body.alias !== undefined) await ensureAlias(deps.author, body.alias, link);
      if (body.target !== undefined) note({ version: (await retarget(deps.author, link, body.target)).version });
      if (body.expires_at !== undefined) await setExpiry(deps.author, link, body.expires_at);
      if (body.disabled !== undefined) await setDisabled(deps.author, link, body.disabled);
      return json(200, await readWithUrl(deps, link));
    },
  }),
];
