import { z } from 'zod';
import { editCampaign, ensureCampaign, markSent, pageCampaigns, readCampaign, setClosed } from '../../authoring/campaigns.ts';
import { baseUrlsOf, chooseBaseUrl } from '../../authoring/base-urls.ts';
import { type ApiDeps, json, route } from './route.ts';
import { cursorInQuery, id, idInPath, indexed, limitInQuery, named, target, text, time, timeOut } from './schemas.ts';

// The resource `campaigns`. It is also the place of the campaign of a link, a letter or a URL.

const Campaign = named(
  'Campaign',
  z.object({
    id,
    name: z.string(),
    fallback: z.string().nullable().describe('the destination of expired and disabled links'),
    created_at: timeOut,
    sent_at: timeOut.nullable(),
    closed_at: timeOut.nullable(),
    pass_query: z.boolean().describe('whether the query of a tracked URL is added to its destination'),
    follow_hosts: z.array(z.string()).nullable().describe('the hosts to whose addresses `cl=<slug>` is added'),
    base_url: z.string().nullable().describe('the base URL with which new URLs begin; null: the setting BASE_URL'),
    links: z.int().describe('the number of its links'),
  }),
);

const settings = {
  fallback: target.nullable().optional(),
  pass_query: z.boolean().optional(),
  follow_hosts: z.array(text(255, 1)).max(100).nullable().optional(),
  base_url: target.nullable().optional().describe('BASE_URL or one of BASE_URLS'),
};

const NewCampaign = named('NewCampaign', z.strictObject({ name: indexed(1), ...settings }));
const CampaignChanges = named(
  'CampaignChanges',
  z.strictObject({ ...settings, sent_at: time.nullable().optional(), closed: z.boolean().optional() }),
);

const params = z.object({ campaign: idInPath });
const answer = { 200: { description: 'the campaign', content: { 'application/json': Campaign } } };

interface Settings {
  fallback?: string | null | undefined;
  pass_query?: boolean | undefined;
  follow_hosts?: string[] | null | undefined;
  base_url?: string | null | undefined;
}
const settingsOf = ({ config }: ApiDeps, { fallback, pass_query, follow_hosts, base_url }: Settings) => ({
  fallbackUrl: fallback,
  passQuery: pass_query,
  followHosts: follow_hosts,
  baseUrl: typeof base_url === 'string' ? chooseBaseUrl(base_url, baseUrlsOf(config)) : base_url,
});

const MAX_PAGE = 1000;

export const campaignRoutes = [
  route({
    method: 'GET',
    path: '/campaigns',
    operationId: 'listCampaigns',
    summary: 'List campaigns, in the order of their numbers',
    role: 'author',
    query: z.strictObject({ name: text(1000, 1).optional(), limit: limitInQuery(MAX_PAGE).optional(), after: cursorInQuery.optional() }),
    answers: {
      200: {
        description: 'campaigns, and the value of `after` for the next page; null: there are no more',
        content: {
          'application/json': named('CampaignPage', z.object({ campaigns: z.array(Campaign), next: z.string().nullable() })),
        },
      },
    },
    async handle({ deps, query }) {
      const limit = query.limit ?? 100;
      const rows = await pageCampaigns(deps.author, { after: Number(query.after ?? 0), limit: limit + 1, name: query.name });
      const campaigns = rows.slice(0, limit);
      return json(200, { campaigns, next: rows.length > limit ? String(campaigns.at(-1)?.id) : null });
    },
  }),
  route({
    method: 'POST',
    path: '/campaigns',
    operationId: 'createCampaign',
    summary: 'Create a campaign, or find it by its name',
    description: 'The settings that are given are set, also on an existing campaign.',
    role: 'author',
    body: NewCampaign,
    action: 'campaign.create',
    answers: { ...answer, 201: { description: 'the new campaign', content: { 'application/json': Campaign } } },
    async handle({ deps, body, note }) {
      const ensured = await ensureCampaign(deps.author, body.name, settingsOf(deps, body));
      note({ campaign: ensured.id, created: ensured.created });
      return json(ensured.created ? 201 : 200, await readCampaign(deps.author, ensured.id));
    },
  }),
  route({
    method: 'GET',
    path: '/campaigns/{campaign}',
    operationId: 'readCampaign',
    summary: 'Read a campaign',
    role: 'author',
    params,
    answers: answer,
    handle: async ({ deps, params: { campaign } }) => json(200, await readCampaign(deps.author, campaign)),
  }),
  route({
    method: 'PATCH',
    path: '/campaigns/{campaign}',
    operationId: 'changeCampaign',
    summary: 'Change the settings of a campaign, record when its mail was sent, close or reopen it',
    role: 'author',
    params,
    body: CampaignChanges,
    action: 'campaign.change',
    answers: answer,
    async handle({ deps, params: { campaign }, body, note }) {
      note({ fields: Object.keys(body) });
      await readCampaign(deps.author, campaign);
      await editCampaign(deps.author, campaign, settingsOf(deps, body));
      if (body.sent_at !== undefined) await markSent(deps.author, campaign, body.sent_at);
      if (body.closed !== undefined) await setClosed(deps.author, campaign, body.closed);
      return json(200, await readCampaign(deps.author, campaign));
    },
  }),
];
