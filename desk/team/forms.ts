import type { FastifyInstance, FastifyRequest } from 'fastify';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { isSameText, type Session } from './sessions.ts';

// Forms of the pages. A request that changes something must pass two checks:
//
//   1. The browser says that the page with the form is of the same origin. This also protects the sign-in, where no session exists yet.
//   2. The form has a token that belongs to the session. This protects if a browser or a proxy leaves out or changes the headers of check 1,
//      and if another page of this origin can be made to post a form, e.g. one that is served by another program behind the same proxy.

export const MAX_FORM_BYTES = 65_536;
const TOKEN_FIELD = 'form_token';

/** Makes an app read forms, and nothing else. */
export function addFormParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: MAX_FORM_BYTES }, (_request, body, done) =>
    done(null, new URLSearchParams(String(body))),
  );
}

/** Returns the fields of the form in a request. */
export function fieldsOf(request: FastifyRequest): URLSearchParams {
  return request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
}

/**
 * Returns whether a request comes from a page of this origin. `deskUrl` is the origin that browsers see, if a proxy is between. Browsers send
 * Origin with each POST request. Without it, Sec-Fetch-Site decides. A request with neither is refused.
 */
export function isSameOrigin(request: FastifyRequest, deskUrl: string): boolean {
  const { origin, host = '' } = request.headers;
  if (origin === undefined) return request.headers['sec-fetch-site'] === 'same-origin';
  return origin === `${request.protocol}://${host}` || (deskUrl !== '' && origin === deskUrl);
}

/** Returns whether the form in a request was made for this session. */
export function hasFormToken(request: FastifyRequest, session: Session): boolean {
  return isSameText(fieldsOf(request).get(TOKEN_FIELD) ?? '', session.formToken);
}

/** The hidden field that every form needs. Without a session there is none. */
export function formTokenField(session: Session | undefined): Markup | undefined {
  return session && html`<input type="hidden" name="${TOKEN_FIELD}" value="${session.formToken}">`;
}

/** A form with one button. `fields` are hidden. */
export function button(session: Session | undefined, action: string, text: string, fields: Readonly<Record<string, string>> = {}): Markup {
  return html`<form action="${action}" method="post">${formTokenField(session)}${Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )}<div><button>${text}</button></div></form>`;
}
