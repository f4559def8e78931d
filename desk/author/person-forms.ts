import type { FastifyInstance, FastifyRequest } from 'fastify';
import { copyFlagsToShards, forget, readRecipient, setOptedOut } from '../../authoring/recipients.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import type { Person } from '../figures/person.ts';
import { requireRole, takeForm } from '../team/access.ts';
import { idOf } from '../team/page-tools.ts';
import type { Content } from '../views/frame.ts';
import { alertOf, type AuthorTools, changeForm, makeChange, type Mistake, textOf, whichOf } from './tools.ts';

// The forms with which an author changes a recipient: opt out of tracking, opt in again, forget.

const FORMS = ['opt-out', 'opt-in'] as const;
const FORGET = ['forget'] as const;

/** The forms on the page of a recipient. A forgotten recipient has none. */
export function personForms(request: FastifyRequest, { recipient_id, opted_out_at, forgotten_at }: Person): Markup | undefined {
  if (forgotten_at !== null) return undefined;
  const path = `/person/${recipient_id}`;
  return html`<section aria-labelledby="tracking"><h2 id="tracking">Tracking</h2>
${
  opted_out_at === null
    ? html`<p>If the person opts out, new letters have untracked links and no pixel. Letters that were sent before are still counted.</p>
${changeForm(request, path, 'opt-out', 'Opt out of tracking', [])}`
    : html`<p>New letters have untracked links and no pixel.</p>
${changeForm(request, path, 'opt-in', 'Opt in again', [])}`
}
<p class="actions"><a href="${path}/forget">Forget this person</a></p></section>`;
}

/** Adds the forms about a recipient to an app. */
export function addPersonForms(app: FastifyInstance, tools: AuthorTools): void {
  const { author, config, sendPage } = tools;

  async function forgetPage(request: FastifyRequest, id: number, mistake?: Mistake): Promise<Content> {
    const { email, external_id } = await explainErrors(() => readRecipient(author, id));
    const name = email ?? external_id ?? `Recipient ${id}`;
    const path = `/person/${id}/forget`;
    return {
      title: `Forget ${name}`,
      breadcrumbs: [
        { href: `/person/${id}`, text: name },
        { href: path, text: 'Forget' },
      ],
      isFinal: true,
      body: html`<h1>Forget ${name}</h1>
${alertOf(mistake)}
<p>The mail address and your own id of this person are deleted, in the catalog and for all reports. <b>This cannot be undone.</b></p>
<p>The opens and clicks stay in the counts, with the number ${id}, which then no longer identifies a person. If the same address is in a list later, it is a
new recipient, who is not opted out of tracking.</p>
${changeForm(request, path, 'forget', 'Forget this person', [{ name: 'number', label: `Type the number of the recipient: ${id}`, isRequired: true }], mistake)}
<p class="actions"><a href="/person/${id}">Back without a change</a></p>`,
    };
  }

  app.post<{ Params: { id: string } }>('/person/:id', takeForm('author'), (request, reply) => {
    const id = idOf(request.params.id);
    return makeChange(tools, request, reply, {
      action: 'recipient.change',
      object: `recipient ${id}`,
      // The form has no field in which a person could make a mistake.
      again: async ({ message }) => {
        throw new ClickledgerError('bad-input', message);
      },
      async work(fields, note) {
        const which = whichOf(fields, FORMS);
        note({ fields: ['opted_out'] });
        await readRecipient(author, id);
        await setOptedOut(author, id, which === 'opt-out');
        return `/person/${id}`;
      },
    });
  });

  app.get<{ Params: { id: string } }>('/person/:id/forget', requireRole('author'), async (request, reply) =>
    sendPage(reply, 200, await forgetPage(request, idOf(request.params.id))),
  );

  app.post<{ Params: { id: string } }>('/person/:id/forget', takeForm('author'), (request, reply) => {
    const id = idOf(request.params.id);
    return makeChange(tools, request, reply, {
      action: 'recipient.forget',
      object: `recipient ${id}`,
      again: (mistake) => forgetPage(request, id, mistake),
      async work(fields) {
        whichOf(fields, FORGET);
        if (textOf(fields, 'number', 100) !== String(id))
          throw new ClickledgerError('bad-input', `nothing is deleted: the number that you typed is not ${id}`);
        if (!(await forget(author, id))) throw new ClickledgerError('not-found', `there is no recipient with the number ${id}`);
        await copyFlagsToShards(author, config.SHARDS, config.AUTHOR_URL, [id]);
        return `/person/${id}`;
      },
    });
  });
}
