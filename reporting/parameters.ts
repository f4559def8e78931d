import { ClickledgerError } from '../core/errors.ts';
import { anyOf, nearestNames } from '../core/nearest.ts';
import { parseDate, parsePeriod } from '../core/parse-date.ts';
import type { PoolClient } from '../core/postgres.ts';
import { parseTimeZone } from '../core/time-zone.ts';
import type { Parameter, Report } from './report-file.ts';

// Checks the values of parameters, and converts them to the values that the report needs.

/** The values that a report gets. */
export interface Resolved {
  variables: Record<string, string>;
  /** The time zone of the session. */
  zone: string;
  /** The time zone and the period of the report as a text. Undefined if the report has no parameter for the time zone or for days. */
  asked: string | undefined;
}

export interface ResolveOptions {
  /** The time zone of reports that are run without a time zone. */
  zone: string;
  now?: Date;
}

/**
 * Checks the given values and converts them to the values that the report needs. For example, the name of a campaign becomes its number,
 * and dates become times in UTC. An empty value counts as not given. Throws `bad-input` for a value of the wrong type and `not-found` for a
 * campaign, URL or recipient that does not exist.
 */
export async function resolveParameters(
  client: PoolClient,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: ResolveOptions,
): Promise<Resolved> {
  const variables: Record<string, string> = { ...values };
  const ofType = (type: string): Parameter | undefined => report.parameters.find((parameter) => parameter.type === type);
  const given = (parameter: Parameter | undefined): string | undefined => (parameter && values[parameter.name]) || undefined;

  const zoneParameter = ofType('timezone');
  const zone = zoneParameter ? parseTimeZone(given(zoneParameter) ?? options.zone) : options.zone;
  if (zoneParameter) variables[zoneParameter.name] = zone;

  const [from, to] = [ofType('from'), ofType('to')];
  const period = parsePeriod(given(from), given(to), { ...options, zone });
  if (from && given(from)) variables[from.name] = period.begins as string;
  if (to && given(to)) variables[to.name] = period.ends as string;

  for (const parameter of report.parameters) {
    const text = given(parameter);
    if (text !== undefined)
      variables[parameter.name] = await resolve(client, parameter, text, variables[parameter.name] as string, options);
  }
  const days = daysWords(report, variables);
  return { variables, zone, asked: days ?? (zoneParameter && askedWords(zone, (from ?? to) ? period.words : undefined)) };
}

function askedWords(zone: string, period: string | undefined): string {
  const clock = zone === 'UTC' ? 'UTC' : `the clock of ${zone}`;
  return period === undefined ? `Times by ${clock}.` : `By ${clock}: ${period}.`;
}

function daysWords({ parameters }: Report, variables: Readonly<Record<string, string>>): string | undefined {
  const [first, last] = parameters.filter(({ type }) => type === 'day').map(({ name }) => variables[name] || undefined);
  if (parameters.every(({ type }) => type !== 'day')) return undefined;
  if (first !== undefined && last !== undefined && first > last)
    throw new ClickledgerError('bad-input', `the first day, ${first}, is after the last day, ${last}`);
  return `Days by UTC: ${first === undefined ? 'from the first hit' : `from ${first} 00:00 UTC`} ${last === undefined ? 'to the last hit' : `to ${last} 23:59:59 UTC`}.`;
}

async function resolve(client: PoolClient, parameter: Parameter, text: string, resolved: string, options: ResolveOptions): Promise<string> {
  const { type } = parameter;
  switch (type) {
    case 'number':
      if (!/^\d{1,18}$/.test(text)) throw refused(parameter, text, 'write a whole number, e.g. 100');
      return text;
    case 'day': {
      const typed = parseDate(text, { ...options, zone: 'UTC' });
      if (!typed.isDay) throw refused(parameter, text, 'this report counts whole days in UTC, so write a day, e.g. 2026-11-01');
      return typed.sql.slice(0, 10);
    }
    case 'campaign':
      return String((await findCampaign(client, text)).campaign_id);
    case 'campaigns':
      return (await findCampaigns(client, text)).join(',');
    case 'url':
      await assertExists(client, text, {
        what: 'URL',
        exists: `SELECT FROM analytics.links WHERE kind = 'url' AND (target = $1 OR original = $1) LIMIT 1`,
        names: `SELECT DISTINCT target AS name FROM analytics.links WHERE kind = 'url' ORDER BY 1 LIMIT 5000`,
      });
      return text;
    case 'recipient':
      await assertExists(client, text, {
        what: 'recipient',
        exists: 'SELECT FROM analytics.recipients WHERE email = lower($1) OR external_id = $1 LIMIT 1',
        // There are many recipients, so only those that begin with the same two letters are compared with the text.
        names: `SELECT coalesce(email, external_id) AS name FROM analytics.recipients WHERE starts_with(email, left(lower($1), 2)) OR starts_with(external_id, left($1, 2)) LIMIT 5000`,
      });
      return text;
    case 'text':
    case 'timezone':
    case 'from':
    case 'to':
      return resolved;
    default: {
      const choices = type.split('|');
      if (!choices.includes(text)) throw refused(parameter, text, `write ${anyOf(choices)}`);
      return text;
    }
  }
}

function refused({ name }: Parameter, text: string, advice: string): ClickledgerError {
  return new ClickledgerError('bad-input', `${name} cannot be '${text}': ${advice}`);
}

/** Finds a campaign by its number or, if there is none with that number, by its name. Throws `not-found` with the nearest names. */
export async function findCampaign(client: PoolClient, text: string): Promise<{ campaign_id: number; name: string }> {
  const found = await client.query<{ campaign_id: number; name: string }>(
    'SELECT campaign_id, name FROM analytics.campaigns WHERE campaign_id = $1 OR name = $2 ORDER BY (campaign_id = $1) IS TRUE DESC LIMIT 1',
    [/^\d{1,15}$/.test(text.trim()) ? text.trim() : null, text],
  );
  if (found.rows[0]) return found.rows[0];
  const { rows } = await client.query<{ name: string }>('SELECT name FROM analytics.campaigns ORDER BY campaign_id DESC LIMIT 10000');
  throw notFound(
    'campaign',
    text,
    rows.map(({ name }) => name),
  );
}

async function findCampaigns(client: PoolClient, text: string): Promise<number[]> {
  // The name of a campaign can contain a comma.
  const whole = await client.query<{ campaign_id: number }>('SELECT campaign_id FROM analytics.campaigns WHERE name = $1', [text]);
  if (whole.rows[0]) return [whole.rows[0].campaign_id];
  const ids: number[] = [];
  for (const part of text.split(',').map((word) => word.trim())) {
    if (part !== '') ids.push((await findCampaign(client, part)).campaign_id);
  }
  return ids;
}

async function assertExists(client: PoolClient, text: string, query: { what: string; exists: string; names: string }): Promise<void> {
  if ((await client.query(query.exists, [text])).rowCount !== 0) return;
  const { rows } = await client.query<{ name: string }>(query.names, query.names.includes('$1') ? [text] : []);
  throw notFound(
    query.what,
    text,
    rows.map(({ name }) => name),
  );
}

function notFound(what: string, text: string, names: readonly string[]): ClickledgerError {
  const near = nearestNames(text, names).map((name) => `'${name}'`);
  const some = near.length > 0 ? ` Similar: ${anyOf(near)}.` : '';
  return new ClickledgerError(
    'not-found',
    `${what} '${text}' does not exist.${some}${what === 'URL' ? ' A URL must be equal to the last character.' : ''}`,
  );
}
