import type { FastifyInstance, FastifyRequest } from 'fastify';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { createAuditLog } from '../api/audit.ts';
import type { Person } from '../figures/person.ts';
import { mayUse, type SendPage } from '../team/access.ts';
import { isReachable, type TeamOptions } from '../team/settings.ts';
import { addCampaignPages } from './campaign-pages.ts';
import { addLinkPages } from './link-pages.ts';
import { addPersonForms, personForms } from './person-forms.ts';
import { addPreviewPage } from './preview-page.ts';
import type { AuthorOptions } from './tools.ts';

/** The parts of the other pages with which an author changes something. Each is undefined for those who may not. */
export interface AuthorParts {
  ofOverview(request: FastifyRequest): Markup | undefined;
  ofCampaign(request: FastifyRequest, campaign: number): Markup | undefined;
  ofPerson(request: FastifyRequest, person: Person): Markup | undefined;
}

const NO_PARTS: AuthorParts = { ofOverview: () => undefined, ofCampaign: () => undefined, ofPerson: () => undefined };

interface AuthorHost {
  /** Undefined: the desk has no settings of an author, and its pages only read. */
  options: AuthorOptions | undefined;
  /** The address on which the desk listens. */
  host: string;
  team: TeamOptions | undefined;
  zone: string;
  sendPage: SendPage;
  onError: (error: unknown) => void;
}

/**
 * Adds the pages with which authors work to the app of the pages. Without sign-in, they are there only if no other machine can reach the desk:
 * who sets SIGN_IN=off lets everyone read, but not change.
 */
export function addAuthorPages(app: FastifyInstance, { options, host, team, zone, sendPage, onError }: AuthorHost): AuthorParts {
  const isOpen = team === undefined || team.config.SIGN_IN === 'off';
  if (options === undefined || (isOpen && isReachable(host, team?.config.DESK_URL ?? ''))) return NO_PARTS;
  const audit = createAuditLog(options.keys, onError);
  // This hook runs after the last connection is closed.
  app.addHook('onClose', () => audit.settled());
  const tools = { ...options, zone, audit, sendPage };
  addCampaignPages(app, tools);
  addLinkPages(app, tools);
  addPersonForms(app, tools);
  addPreviewPage(app, tools);
  const ifAuthor = (request: FastifyRequest, part: () => Markup | undefined): Markup | undefined =>
    mayUse(request.account, 'author') ? part() : undefined;
  return {
    ofOverview: (request) =>
      ifAuthor(request, () => html`<p class="actions"><a href="/new-campaign">New campaign</a><a href="/preview">Preview a letter</a></p>`),
    ofCampaign: (request, campaign) =>
      ifAuthor(request, () => html`<p class="actions"><a href="/campaign/${campaign}/manage">Manage this campaign</a></p>`),
    ofPerson: (request, person) => ifAuthor(request, () => personForms(request, person)),
  };
}
