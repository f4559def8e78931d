import type { FastifyInstance } from 'fastify';
import type { AccountRole } from '../../core/account.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import type { Content } from '../views/frame.ts';
import { needSession, requireRole, takeForm } from './access.ts';
import { button, fieldsOf } from './forms.ts';
import { moment, tableOf } from './format.ts';
import { idOf, type PageTools } from './page-tools.ts';
import type { Session } from './sessions.ts';

// The pages for owners: accounts, keys of the HTTP API, and the log of changes. The catalog checks again that the session is an owner's.

interface AccountRow {
  id: number;
  name: string;
  role: AccountRole;
  has_password: boolean;
  sessions: number;
  last_used_at: Date | null;
  disabled_at: Date | null;
}

interface KeyRow {
  id: string;
  name: string;
  role: string;
  created_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
}

interface LogRow {
  at: Date;
  key: string | null;
  account: string | null;
  action: string;
  object: string;
  details: unknown;
  status: number | null;
}

/** The page shows at most this many rows of the log. */
const LOG_ROWS = 200;

const TABS = [
  { href: '/team', text: 'Accounts' },
  { href: '/team/keys', text: 'Keys' },
  { href: '/team/log', text: 'Log' },
] as const;

/** Adds the pages to an app. */
export function addTeamPages(app: FastifyInstance, { pool, limits: { zone }, sendPage }: PageTools): void {
  const query = async <Row extends object>(sql: string, values: unknown[]): Promise<Row[]> =>
    (await explainErrors(() => pool.query<Row>(sql, values))).rows;

  function page(title: string, href: string, content: Markup): Content {
    return {
      title,
      breadcrumbs: [{ href: '/team', text: 'Team' }, ...(href === '/team' ? [] : [{ href, text: title }])],
      isFinal: true,
      body: html`<h1>${title}</h1>
<nav aria-label="Team" class="actions">${TABS.map((tab) => html`<a href="${tab.href}">${tab.text}</a>`)}</nav>
${content}`,
    };
  }

  async function accountsPage(session: Session): Promise<Content> {
    const accounts = await query<AccountRow>('SELECT * FROM catalog.list_accounts($1)', [session.hash]);
    const actions = ({ id, sessions, disabled_at }: AccountRow): Markup =>
      html`${sessions > 0 && button(session, '/team/end-sessions', 'End sessions', { id: String(id) })}${id !== session.account.id && disabled_at === null && button(session, '/team/disable', 'Disable', { id: String(id) })}`;
    return page(
      'Accounts',
      '/team',
      html`${tableOf(
        'accounts',
        ['Name', 'Role', 'Signs in by', 'Sessions', 'Last used', 'Disabled', 'Change'],
        accounts.map((account) => [
          account.name,
          account.role,
          account.has_password ? 'password' : 'OpenID Connect or proxy',
          account.sessions,
          moment(account.last_used_at, zone),
          moment(account.disabled_at, zone),
          actions(account),
        ]),
      )}
<p class="note"><code>clickledger user</code> adds accounts, and changes roles and passwords.</p>`,
    );
  }

  async function keysPage(session: Session): Promise<Content> {
    const keys = await query<KeyRow>(
      'SELECT id, name, role, created_at, last_used_at, revoked_at FROM catalog.api_key ORDER BY revoked_at IS NOT NULL, created_at DESC, id',
      [],
    );
    return page(
      'Keys',
      '/team/keys',
      html`${tableOf(
        'keys of the HTTP API',
        ['Name', 'Id', 'Role', 'Created', 'Last used', 'Revoked'],
        keys.map((key) => [
          key.name,
          key.id,
          key.role,
          moment(key.created_at, zone),
          moment(key.last_used_at, zone),
          key.revoked_at === null ? button(session, '/team/revoke-key', 'Revoke', { id: key.id }) : moment(key.revoked_at, zone),
        ]),
      )}
<p class="note"><code>clickledger key create</code> creates keys.</p>`,
    );
  }

  async function logPage(session: Session, action: string): Promise<Content> {
    const [actions, rows] = await Promise.all([
      query<{ action: string }>('SELECT action FROM catalog.audit_actions($1)', [session.hash]),
      query<LogRow>('SELECT * FROM catalog.read_audit_log($1, $2, $3)', [session.hash, action === '' ? null : action, LOG_ROWS]),
    ]);
    return page(
      'Log',
      '/team/log',
      html`<form action="/team/log" method="get"><div><label for="action">Action</label><select id="action" name="action"><option value="">All</option>${actions.map(
        (each) => html`<option${each.action === action && html` selected`}>${each.action}</option>`,
      )}</select></div><div><button>Show</button></div></form>
${tableOf(
  'changes',
  ['At', 'By', 'Action', 'Object', 'Status', 'Details'],
  rows.map((row) => [
    moment(row.at, zone),
    row.account ?? (row.key === null ? 'command line' : `key ${row.key}`),
    row.action,
    row.object,
    row.status ?? '–',
    JSON.stringify(row.details),
  ]),
)}
<p class="note">The newest ${LOG_ROWS} changes. <code>clickledger key log</code> prints more.</p>`,
    );
  }

  app.get('/team', requireRole('owner'), async (request, reply) => sendPage(reply, 200, await accountsPage(needSession(request))));
  app.get('/team/keys', requireRole('owner'), async (request, reply) => sendPage(reply, 200, await keysPage(needSession(request))));
  app.get<{ Querystring: { action?: unknown } }>('/team/log', requireRole('owner'), async (request, reply) => {
    const { action } = request.query;
    return sendPage(reply, 200, await logPage(needSession(request), typeof action === 'string' ? action : ''));
  });

  app.post('/team/disable', takeForm('owner'), async (request, reply) => {
    const { hash } = needSession(request);
    const id = idOf(fieldsOf(request).get('id'));
    const [row] = await query<{ done: boolean }>('SELECT catalog.disable_account($1, $2) AS done', [hash, id]);
    if (row?.done !== true)
      throw new ClickledgerError('bad-input', 'this account does not exist, or is your own, which only another owner can disable');
    return reply.redirect('/team', 303);
  });

  app.post('/team/end-sessions', takeForm('owner'), async (request, reply) => {
    const { hash } = needSession(request);
    await query('SELECT catalog.end_account_sessions($1, $2)', [hash, idOf(fieldsOf(request).get('id'))]);
    return reply.redirect('/team', 303);
  });

  app.post('/team/revoke-key', takeForm('owner'), async (request, reply) => {
    const { hash } = needSession(request);
    const id = fieldsOf(request).get('id') ?? '';
    if (!/^[0-9a-f]{12}$/.test(id)) throw new ClickledgerError('not-found', 'there is no such key');
    const [row] = await query<{ done: boolean }>('SELECT catalog.revoke_api_key($1, $2) AS done', [hash, id]);
    if (row?.done !== true) throw new ClickledgerError('not-found', 'there is no such key');
    return reply.redirect('/team/keys', 303);
  });
}
