/** Appends the events of a relation to the deltas, as commits do. For tests and benches that insert events themselves. */
export const appendDeltas = (relation: string): string => `
  INSERT INTO shard.delta (campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids)
  SELECT campaign_id, count(*), array_agg((extract(epoch FROM at) * 1000)::bigint), array_agg(recipient_id), array_agg(link_id), array_agg(n % 20000 + 1),
         array_agg(kind::text), array_agg(verdict::text), array_agg(country), array_agg(net), array_agg(referrer), array_agg(agent_id::text)
  FROM (SELECT *, row_number() OVER (PARTITION BY campaign_id) - 1 AS n FROM ${relation}) AS each GROUP BY campaign_id, n / 20000`;

/** Appends all events of a shard to the deltas. */
export const COUNT_ALL = appendDeltas('shard.event');
