-- The people of a segment to whom mail may be written.

-- The variable `reachable` is a condition on a row `r` of analytics.recipients: whether the recipient is neither forgotten nor a test recipient, and has
-- neither opted out of tracking nor unsubscribed.
\set reachable '(r.forgotten_at IS NULL AND NOT r.is_test AND r.opted_out_at IS NULL AND NOT EXISTS (SELECT FROM analytics.unsubscribed u WHERE u.recipient_id = r.recipient_id))'
