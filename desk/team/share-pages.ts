import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { html } from '../../reporting/format/markup.ts';
import { page } from '../../reporting/format/page.ts';
import { findCampaign } from '../../reporting/parameters.ts';
import { readOnly } from '../../reporting/run-report.ts';
import { createFailureLimit } from '../api/limits.ts';
import { ApiError } from '../api/problems.ts';
import { expectedError, statusOf } from '../failures.ts';
import { createFormats, localeOf } from '../formats.ts';
import { parseState } from '../state.ts';
import { type Content, errorContent } from '../views/frame.ts';
import { needSession, requireRole, takeForm } from './access.ts';
import { button, fieldsOf, formTokenField } from './forms.ts';
import { moment, tableOf } from './format.ts';
import { idOf, type PageTools } from './page-tools.ts';
import { hashOfToken, newToken, type Session } from './sessions.ts';
import { sharedCampaignPage, type SharedReader } from './shared-page.ts';

// Links that show one campaign to people without an account. The page of a campaign's links is for authors, and the shared page for anyone who
// has the link.

/** The lifetimes that an author may choose, in days. The catalog allows no longer one. */
const LIFETIMES = [1, 7, 30, 90] as const;
const DEFAULT_LIFETIME = 30;

interface ShareRow {
  id: number;
  created_by: string;
  created_at: Date;
  expires_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
}

/** Adds the page of the links of a campaign to an app. */
export function addSharePages(app: FastifyInstance, { pool, analyst, limits, deskUrl, sendPage }: PageTools): void {
  const { zone } = limits;
  const campaignOf = (numberOrName: string) =>
    explainErrors(() => readOnly(analyst, limits, (client) => findCampaign(client, numberOrName)));

  async function sharePage(session: Session, numberOrName: string, created?: string): Promise<Content> {
    const { campaign_id, name } = await campaignOf(numberOrName);
    const path = `/campaign/${campaign_id}`;
    const { rows } = await explainErrors(() =>
      pool.query<ShareRow>('SELECT * FROM catalog.list_shares($1, $2)', [session.hash, campaign_id]),
    );
    const stateOf = ({ id, expires_at, revoked_at }: ShareRow) => {
      if (revoked_at !== null) return html`revoked ${moment(revoked_at, zone)}`;
      if (expires_at.getTime() <= Date.now()) return 'expired';
      return button(session, `${path}/share/revoke`, 'Revoke', { id: String(id) });
    };
    return {
      title: `Share ${name}`,
      breadcrumbs: [
        { href: path, text: name },
        { href: `${path}/share`, text: 'Share' },
      ],
      isFinal: true,
      body: html`<h1>Share ${name}</h1>
<p class="question">Everyone who has a link sees the counts of this campaign, without people and without other campaigns.</p>
${created !== undefined && html`<p>The new link, which is shown only now: <a href="${created}">${created}</a></p>`}
<form action="${path}/share" method="post">${formTokenField(session)}
<div><label for="days">Valid for</label><select id="days" name="days">${LIFETIMES.map(
        (days) =>
          html`<option value="${days}"${days === DEFAULT_LIFETIME && html` selected`}>${days} ${days === 1 ? 'day' : 'days'}</option>`,
      )}</select></div>
<div><button>Create a link</button></div></form>
${
  rows.length > 0 &&
  tableOf(
    'links',
    ['Created', 'By', 'Expires', 'Last used', 'End'],
    rows.map((row) => [
      moment(row.created_at, zone),
      row.created_by,
      moment(row.expires_at, zone),
      moment(row.last_used_at, zone),
      stateOf(row),
    ]),
  )
}`,
    };
  }

  app.get<{ Params: { id: string } }>('/campaign/:id/share', requireRole('author'), async (request, reply) =>
    sendPage(reply, 200, await sharePage(needSession(request), request.params.id)),
  );

  app.post<{ Params: { id: string } }>('/campaign/:id/share', takeForm('author'), async (request, reply) => {
    const session = needSession(request);
    const days = Number(fieldsOf(request).get('days'));
    if (!LIFETIMES.some((each) => each === days))
      throw new ClickledgerError('bad-input', `a link is valid for ${LIFETIMES.join(', ')} days`);
    const { campaign_id } = await campaignOf(request.params.id);
    const token = newToken();
    await explainErrors(() =>
      pool.query('SELECT catalog.share_campaign($1, $2, $3, $4)', [session.hash, campaign_id, hashOfToken(token), days]),
    );
    // There is no redirect, because the link is stored nowhere and can only be shown now.
    return sendPage(reply, 200, await sharePage(session, String(campaign_id), `${originOf(request)}/shared/${token}`));
  });

  app.post<{ Params: { id: string } }>('/campaign/:id/share/revoke', takeForm('author'), async (request, reply) => {
    const session = needSession(request);
    const campaign = idOf(request.params.id);
    const { rows } = await explainErrors(() =>
      pool.query<{ done: boolean }>('SELECT catalog.revoke_share($1, $2, $3) AS done', [
        session.hash,
        campaign,
        idOf(fieldsOf(request).get('id')),
      ]),
    );
    if (rows[0]?.done !== true) throw new ClickledgerError('not-found', 'this campaign has no such link');
    return reply.redirect(`/campaign/${campaign}/share`, 303);
  });

  const originOf = (request: FastifyRequest): string => deskUrl || `${request.protocol}://${request.headers.host}`;
}

/** Adds the page that shows a shared campaign to an app. It has no link to another page, no script and no cookie. */
export function addSharedPage(
  app: FastifyInstance,
  {
    pool,
    analyst,
    limits,
    now,
    onError,
  }: Pick<PageTools, 'analyst' | 'limits' | 'now'> & Partial<Pick<PageTools, 'pool'>> & { onError: (error: unknown) => void },
): void {
  const failures = createFailureLimit(now, 'too many links from this address were wrong: wait a minute');

  const readerOf = (locale: string): SharedReader => ({
    pool: analyst,
    limits,
    state: parseState({}),
    formats: createFormats(locale, limits.zone),
  });

  /** Returns the campaign of a token. Throws `not-found` if there is no valid link with it. */
  async function openShare(token: string, address: string): Promise<number> {
    failures.check(address);
    const hash = hashOfToken(token);
    const { rows } =
      hash === undefined || pool === undefined
        ? { rows: [] }
        : await explainErrors(() => pool.query<{ campaign: number | null }>('SELECT catalog.open_share($1) AS campaign', [hash]));
    const campaign = rows[0]?.campaign ?? undefined;
    if (campaign !== undefined) return campaign;
    failures.add(address);
    throw new ClickledgerError(
      'not-found',
      'this link is wrong, has expired or was revoked: ask the person who gave it to you for another one',
    );
  }

  async function contentOf(token: string, address: string, locale: string): Promise<{ status: number; content: Content }> {
    try {
      return { status: 200, content: await sharedCampaignPage(readerOf(locale), await openShare(token, address)) };
    } catch (error) {
      if (error instanceof ApiError)
        return { status: 429, content: errorContent('Too many attempts', new ClickledgerError('bad-input', error.message)) };
      const expected = expectedError(error);
      if (expected === undefined) onError(error);
      const shown = expected ?? new ClickledgerError('server-failed', 'an unexpected error occurred');
      return { status: statusOf(shown), content: errorContent('Not available', shown) };
    }
  }

  app.get<{ Params: { token: string } }>('/shared/:token', requireRole('anyone'), async (request, reply) => {
    const { status, content } = await contentOf(request.params.token, request.ip, localeOf(request.headers['accept-language']));
    const nonce = randomBytes(16).toString('base64');
    return reply
      .code(status)
      .headers({
        'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`,
        'referrer-policy': 'no-referrer',
        'x-robots-tag': 'noindex, nofollow',
      })
      .type('text/html; charset=utf-8')
      .send(page({ title: `${content.title} – clickledger`, nonce, main: content.body }));
  });
}
