import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Pool } from '../../core/postgres.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import { addAccess, addOriginCheck, mayUse, requireDeclarations, type SendPage, sessionOf } from './access.ts';
import { addAccountPage } from './account-page.ts';
import { addFormParser, formTokenField } from './forms.ts';
import { addSharedPage, addSharePages } from './share-pages.ts';
import { checkTeamConfig, type TeamOptions } from './settings.ts';
import { addSignIn } from './sign-in.ts';
import { addTeamPages } from './team-pages.ts';

/** The parts of the pages that accounts need. */
export interface TeamHost {
  /** The address on which the desk listens. */
  host: string;
  /** Undefined: nobody has to sign in, and there are no pages about accounts. */
  team: TeamOptions | undefined;
  /** Connects as the analyst. */
  analyst: Pool;
  limits: RunOptions;
  sendPage: SendPage;
  onError: (error: unknown) => void;
}

/**
 * Adds sign-in, the check of roles, and the pages about accounts and shared campaigns to the app of the pages. Call this after the check of
 * the Host header and before all other routes.
 */
export function addTeam(app: FastifyInstance, { host, team, analyst, limits, sendPage, onError }: TeamHost): void {
  requireDeclarations(app);
  addFormParser(app);
  addOriginCheck(app, team?.config.DESK_URL ?? '', sendPage);
  if (team === undefined) return;
  checkTeamConfig(team.config);
  const { pool, config, now = () => performance.now() } = team;
  const policy = addAccess(app, host, team, sendPage);
  const passwordCheck = addSignIn(app, { team, policy, sendPage, onError });
  addSharedPage(app, { ...(pool && { pool }), analyst, limits, now, onError });
  if (pool === undefined) return;
  const tools = { pool, analyst, limits, deskUrl: config.DESK_URL, now, sendPage, passwordCheck };
  addAccountPage(app, tools);
  addTeamPages(app, tools);
  addSharePages(app, tools);
}

/** The links for the account of a request, for the head of a page. Undefined if nobody has signed in. */
export function accountNav(request: FastifyRequest): Markup | undefined {
  const session = sessionOf(request);
  return (
    session &&
    html`<nav aria-label="Account"><a href="/account">${session.account.name}</a>${mayUse(session.account, 'owner') && html`<a href="/team">Team</a>`}${!session.isByProxy && html`<form action="/sign-out" method="post">${formTokenField(session)}<button>Sign out</button></form>`}</nav>`
  );
}

/** The link to the page that shares a campaign, for those who may. */
export function shareLink(request: FastifyRequest, numberOrName: string): Markup | undefined {
  const session = sessionOf(request);
  if (session === undefined || !mayUse(session.account, 'author')) return undefined;
  return html`<p class="actions"><a href="/campaign/${encodeURIComponent(numberOrName)}/share">Share this campaign</a></p>`;
}
