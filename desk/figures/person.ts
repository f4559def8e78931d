import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { readOnly, type RunOptions } from '../../reporting/run-report.ts';

/** A recipient, and what is known of them. */
export interface Person {
  recipient_id: number;
  email: string | null;
  external_id: string | null;
  created_at: Date;
  opted_out_at: Date | null;
  forgotten_at: Date | null;
  is_test: boolean;
  unsubscribed_at: Date | null;
  campaigns: { campaign_id: number; name: string; prepared_at: Date; human_opens: number; human_clicks: number; machine_hits: number }[];
  events: PersonEvent[];
}

export interface PersonEvent {
  at: Date;
  kind: string;
  campaign_id: number;
  campaign: string | null;
  link_id: number | null;
  link: string | null;
  verdict: string | null;
  signals: string[] | null;
  client: string | null;
  country: string | null;
}

/** A page shows at most so many letters and hits of a person, the latest first. */
const MOST_LETTERS = 50;
export const MOST_EVENTS = 200;

/** Reads a recipient. Throws `not-found` if there is none with this number. */
export async function readPerson(pool: Pool, id: number, limits: RunOptions): Promise<Person> {
  return explainErrors(() =>
    readOnly(pool, limits, async (client) => {
      const found = await client.query<Person>(
        `SELECT r.recipient_id, r.email, r.external_id, r.created_at, r.opted_out_at, r.forgotten_at, r.is_test, u.at AS unsubscribed_at
         FROM analytics.recipients r LEFT JOIN analytics.unsubscribed u USING (recipient_id) WHERE r.recipient_id = $1`,
        [id],
      );
      const [person] = found.rows;
      if (person === undefined) throw new ClickledgerError('not-found', `there is no recipient with the number ${id}`);
      const letters = await client.query<Person['campaigns'][number]>(
        `SELECT m.campaign_id, c.name, m.prepared_at, coalesce(a.human_opens, 0) AS human_opens, coalesce(a.human_clicks, 0) AS human_clicks, coalesce(a.machine_hits, 0) AS machine_hits
         FROM analytics.mailings m JOIN analytics.campaigns c USING (campaign_id)
         LEFT JOIN (SELECT campaign_id, coalesce(sum(human_hits) FILTER (WHERE kind = 'open'), 0)::bigint AS human_opens,
                           coalesce(sum(human_hits) FILTER (WHERE kind = 'click'), 0)::bigint AS human_clicks, sum(machine_hits)::bigint AS machine_hits
                    FROM analytics.activity WHERE recipient_id = $1 GROUP BY campaign_id) a USING (campaign_id)
         WHERE m.recipient_id = $1 ORDER BY m.prepared_at DESC LIMIT ${MOST_LETTERS}`,
        [id],
      );
      const events = await client.query<PersonEvent>(
        `SELECT e.at, e.kind, e.campaign_id, c.name AS campaign, l.link_id, coalesce(nullif(l.label, ''), l.target) AS link, e.verdict, e.signals, e.client, e.country
         FROM (SELECT * FROM analytics.events WHERE recipient_id = $1
               UNION ALL
               SELECT shard, at, 'unsubscribe', campaign_id, NULL, NULL, recipient_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, request_id, gen, off
               FROM analytics.unsubscribes WHERE recipient_id = $1) e
         LEFT JOIN analytics.campaigns c USING (campaign_id) LEFT JOIN analytics.links l USING (link_id)
         ORDER BY e.at DESC LIMIT ${MOST_EVENTS}`,
        [id],
      );
      return { ...person, campaigns: letters.rows, events: events.rows };
    }),
  );
}
