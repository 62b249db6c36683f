-- name: policy
SELECT * FROM escalation_policy;

-- name: lock_policy
-- Also where there is none yet.
LOCK TABLE escalation_policy IN SHARE ROW EXCLUSIVE MODE;

-- name: store_policy
INSERT INTO escalation_policy (rules, updated_by, updated_at) VALUES ($1, $2, $3)
ON CONFLICT (only_row) DO UPDATE
   SET rules = excluded.rules, revision = escalation_policy.revision + 1,
       updated_by = excluded.updated_by, updated_at = excluded.updated_at
RETURNING *;

-- name: mark
-- Only what was not escalated to this channel before comes back.
INSERT INTO escalations (fingerprint, episode, channel_id, at)
SELECT fingerprint, episode, channel_id, $4
  FROM unnest($1::text[], $2::int[], $3::text[]) AS new (fingerprint, episode, channel_id)
 ORDER BY fingerprint, episode, channel_id
ON CONFLICT DO NOTHING
RETURNING fingerprint, channel_id;

-- name: forget
DELETE FROM escalations WHERE at < $1;
