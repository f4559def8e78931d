import { z } from 'zod';
import { ensureLinks } from '../../authoring/links.ts';
import { resolvePeople } from '../../authoring/prepare-letter.ts';
import type { Urls } from '../../authoring/urls.ts';
import type { Pool } from '../../core/postgres.ts';
import { specOf } from './links.ts';
import { answerBody } from './lines.ts';
import { type LineResult, NDJSON } from './ndjson.ts';
import { openCampaign, urlsOf } from './open-campaign.ts';
import { personOf } from './recipients.ts';
import { REJECT_REASONS, type RejectReason } from '../../authoring/list-file.ts';
import { route } from './route.ts';
import { id, idInPath, indexed, LineProblem, named, personFields, target } from './schemas.ts';

// The resource `urls`: tracked URLs for people, many in one request.

const UrlWanted = named(
  'UrlWanted',
  z
    .strictObject({
      kind: z.enum(['url', 'pixel', 'unsubscribe']).optional().describe('the default is url'),
      target: target.optional().describe('required for the kind url'),
      label: indexed().optional(),
      to: z.strictObject(personFields).optional().describe('the person; without it, the URL is shared by all people'),
    })
    .superRefine(({ kind = 'url', target: wanted, label, to }, context) => {
      const mistake = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
      if (kind === 'url' && wanted === undefined) mistake('target', 'a URL of the kind url needs a target');
      if (kind !== 'url' && wanted !== undefined) mistake('target', `a URL of the kind ${kind} has no target`);
      if (kind !== 'url' && label !== undefined) mistake('label', `a URL of the kind ${kind} has no label`);
      if (kind === 'unsubscribe' && to === undefined) mistake('to', 'a URL for unsubscribing is for one person');
    }),
);
type UrlWanted = z.infer<typeof UrlWanted>;

const UrlResult = named(
  'UrlResult',
  z.union([
    z.object({
      line: id,
      url: z.string(),
      link: id.nullable().describe('null: the person opted out of tracking, and `url` is the target itself'),
      recipient: id.nullable().describe('null: the URL is shared'),
    }),
    z.object({ line: id, rejected: z.enum([...REJECT_REASONS, 'opted-out']) }),
    LineProblem,
  ]),
);

export const urlRoutes = [
  route({
    method: 'POST',
    path: '/campaigns/{campaign}/urls',
    operationId: 'makeUrls',
    summary: 'Make tracked URLs, one for each line',
    description: 'The same line gives the same URL. Links and recipients that do not exist are created.',
    role: 'author',
    params: z.object({ campaign: idInPath }),
    line: UrlWanted,
    action: 'url.create',
    answers: { 200: { description: 'the results of the lines', content: { [NDJSON]: UrlResult } } },
    async handleLines(context) {
      const { deps, params } = context;
      const { author } = deps;
      const urls = await urlsOf(deps, await openCampaign(deps, params.campaign));
      return answerBody(context, UrlWanted, async (lines) => {
        const links = await linksOf(
          author,
          params.campaign,
          lines.map(({ value }) => value),
        );
        const people = lines.filter(({ value }) => value.to !== undefined);
        const found = await resolvePeople(
          author,
          people.map(({ value }) => personOf(value.to ?? {})),
        );
        const recipients = new Map(people.map(({ line }, i) => [line, found[i]]));
        return lines.map(({ line, value }, i) => resultOf(urls, value, links[i] as number, recipients.get(line)));
      });
    },
  }),
];

/** Finds or creates the links of URLs. Returns their numbers, in the order of `wanted`. Lines with the same link share it. */
async function linksOf(pool: Pool, campaign: number, wanted: readonly UrlWanted[]): Promise<number[]> {
  const keys = wanted.map(({ kind = 'url', target: to = '', label = '' }) => JSON.stringify([kind, to, label]));
  const distinct = new Map(keys.map((key, i) => [key, specOf(wanted[i] as UrlWanted)]));
  const ids = await ensureLinks(pool, campaign, [...distinct.values()]);
  const idOf = new Map(Array.from(distinct.keys(), (key, i) => [key, ids[i] as number]));
  return keys.map((key) => idOf.get(key) as number);
}

/** Returns the result of a line. `found` is undefined if the URL is shared. */
function resultOf(
  urls: Urls,
  { kind = 'url', target: to }: UrlWanted,
  link: number,
  found: { id: number; optedOut: boolean } | RejectReason | undefined,
): LineResult {
  if (typeof found === 'string') return { rejected: found };
  const recipient = found?.id ?? 0;
  const numbers = { link, recipient: found?.id ?? null };
  switch (kind) {
    case 'unsubscribe':
      return { url: urls.unsubscribe(link, recipient), ...numbers };
    case 'pixel':
      return found?.optedOut ? { rejected: 'opted-out' } : { url: urls.pixel(link, recipient), ...numbers };
    case 'url':
      return found?.optedOut ? { url: to, ...numbers, link: null } : { url: urls.click(link, recipient), ...numbers };
  }
}
