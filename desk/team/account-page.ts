import type { FastifyInstance, FastifyReply } from 'fastify';
import { ClickledgerError } from '../../core/errors.ts';
import { hashPassword } from '../../core/password.ts';
import { explainErrors } from '../../core/postgres.ts';
import { html } from '../../reporting/format/markup.ts';
import { ApiError } from '../api/problems.ts';
import { type Content, errorNote } from '../views/frame.ts';
import { needSession, requireRole, takeForm } from './access.ts';
import { button, fieldsOf, formTokenField } from './forms.ts';
import { moment, tableOf } from './format.ts';
import { idOf, type PageTools } from './page-tools.ts';
import type { Session } from './sessions.ts';

// The page of one's own account: sessions and password.

interface OwnSession {
  id: number;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
  is_this: boolean;
}

/** Adds the routes of the page to an app. */
export function addAccountPage(app: FastifyInstance, { pool, limits: { zone }, sendPage, passwordCheck }: PageTools): void {
  async function page(session: Session, message?: string): Promise<Content> {
    const { rows } = await explainErrors(() => pool.query<OwnSession>('SELECT * FROM catalog.own_sessions($1)', [session.hash]));
    return {
      title: 'Your account',
      breadcrumbs: [{ href: '/account', text: 'Your account' }],
      isFinal: true,
      body: html`<h1>Your account</h1>
${message !== undefined && errorNote(message)}
<dl class="values"><div><dt>Name</dt><dd>${session.account.name}</dd></div><div><dt>Role</dt><dd>${session.account.role}</dd></div></dl>
<section aria-labelledby="sessions"><h2 id="sessions">Sessions</h2>
${tableOf(
  'sessions',
  ['Began', 'Last used', 'Ends', 'End'],
  rows.map(({ id, created_at, last_used_at, expires_at, is_this }) => [
    moment(created_at, zone),
    moment(last_used_at, zone),
    moment(expires_at, zone),
    is_this ? 'this one' : button(session, '/account/end-session', 'End', { id: String(id) }),
  ]),
)}
${rows.length > 1 && button(session, '/account/end-others', 'End all other sessions')}</section>
${
  session.hasPassword &&
  html`<section aria-labelledby="change"><h2 id="change">Change the password</h2>
<p class="question">All your other sessions end.</p>
<form action="/account/password" method="post">${formTokenField(session)}
<div><label for="current">Current password</label><input id="current" name="current" type="password" autocomplete="current-password" required></div>
<div><label for="new">New password</label><input id="new" name="new" type="password" autocomplete="new-password" required minlength="12" maxlength="1024"></div>
<div><label for="again">New password again</label><input id="again" name="again" type="password" autocomplete="new-password" required></div>
<div><button>Change</button></div></form></section>`
}`,
    };
  }

  const back = (reply: FastifyReply): FastifyReply => reply.redirect('/account', 303);

  app.get('/account', requireRole('analyst'), async (request, reply) => sendPage(reply, 200, await page(needSession(request))));

  app.post('/account/end-session', takeForm('analyst'), async (request, reply) => {
    const session = needSession(request);
    await explainErrors(() => pool.query('SELECT catalog.end_own_session($1, $2)', [session.hash, idOf(fieldsOf(request).get('id'))]));
    return back(reply);
  });

  app.post('/account/end-others', takeForm('analyst'), async (request, reply) => {
    const session = needSession(request);
    await explainErrors(() => pool.query('SELECT catalog.end_other_sessions($1)', [session.hash]));
    return back(reply);
  });

  app.post('/account/password', takeForm('analyst'), async (request, reply) => {
    const session = needSession(request);
    const fields = fieldsOf(request);
    const next = fields.get('new') ?? '';
    try {
      if (next !== fields.get('again')) throw new ClickledgerError('bad-input', 'the two new passwords are different');
      const hash = await hashPassword(next);
      const isChanged = await passwordCheck.run(session.account.name, fields.get('current') ?? '', request.ip, async (key) => {
        const sql = 'SELECT catalog.change_own_password($1, $2, $3) AS changed';
        const { rows } = await explainErrors(() => pool.query<{ changed: boolean }>(sql, [session.hash, key, hash]));
        return rows[0]?.changed === true;
      });
      if (!isChanged) return await sendPage(reply, 403, await page(session, 'the current password is wrong'));
    } catch (error) {
      if (error instanceof ApiError) return sendPage(reply.headers(error.headers), 429, await page(session, error.message));
      if (error instanceof ClickledgerError && error.code === 'bad-input') return sendPage(reply, 400, await page(session, error.message));
      throw error;
    }
    return back(reply);
  });
}
