-- name: channels
SELECT * FROM user_notification_configs

-- name: find_channel
SELECT * FROM user_notification_configs WHERE id = $1;

-- name: find_channel_for_change
SELECT * FROM user_notification_configs WHERE id = $1 FOR UPDATE;

-- name: default_channels
SELECT * FROM user_notification_configs WHERE enabled AND is_default ORDER BY id;

-- name: add_channel
INSERT INTO user_notification_configs (id, name, plugin_name, config, enabled, is_default, fallback, user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: replace_channel
UPDATE user_notification_configs
   SET name = $2, plugin_name = $3, config = $4, enabled = $5, is_default = $6, fallback = $7, user_id = $8,
       paused_until = NULL, revision = revision + 1, updated_at = now()
 WHERE id = $1
RETURNING *;

-- name: remove_channel
DELETE FROM user_notification_configs WHERE id = $1;

-- name: pause_channel
UPDATE user_notification_configs SET paused_until = greatest(paused_until, $2) WHERE id = $1;

-- name: disable_channel
UPDATE user_notification_configs SET enabled = false, revision = revision + 1, updated_at = now() WHERE id = $1;

-- name: disabled_plugins
SELECT name FROM notification_plugins WHERE NOT enabled;

-- name: add_groups
INSERT INTO notification_groups (key, receiver, labels)
SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (key) DO NOTHING;

-- name: lock_groups
-- In the order of their keys, so that two dispatchers cannot wait for each other.
SELECT * FROM notification_groups WHERE key = ANY ($1) ORDER BY key FOR UPDATE;

-- name: lock_group
SELECT * FROM notification_groups WHERE key = $1 FOR UPDATE;

-- name: all_groups
SELECT * FROM notification_groups ORDER BY key FOR UPDATE;

-- name: add_members
INSERT INTO notification_group_alerts (group_key, fingerprint)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING;

-- name: members
SELECT fingerprint FROM notification_group_alerts WHERE group_key = $1;

-- name: drop_members
DELETE FROM notification_group_alerts WHERE group_key = $1 AND fingerprint = ANY ($2);

-- name: remove_group
DELETE FROM notification_groups WHERE key = $1;

-- name: plan_flush
UPDATE notification_groups SET flush_at = $2, generation = generation + 1 WHERE key = $1 RETURNING generation;

-- name: flushed
UPDATE notification_groups SET flush_at = NULL, ticks_from = coalesce(ticks_from, $2) WHERE key = $1;

-- name: told
SELECT * FROM notification_log WHERE group_key = $1;

-- name: remember_told
INSERT INTO notification_log (group_key, channel_id, firing, resolved, told_at)
SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM notification_groups WHERE key = $1)
ON CONFLICT (group_key, channel_id) DO UPDATE
   SET firing = excluded.firing, resolved = excluded.resolved, told_at = excluded.told_at;

-- name: open_deliveries
SELECT channel_id FROM notification_deliveries WHERE group_key = $1 AND status = 'pending';

-- name: add_delivery
INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: find_delivery
SELECT * FROM notification_deliveries WHERE id = $1;

-- name: attempted
UPDATE notification_deliveries
   SET attempts = attempts + 1, provider_code = $2, provider_message = $3, latency_ms = $4, updated_at = $5
 WHERE id = $1 AND status = 'pending';

-- name: part_sent
UPDATE notification_deliveries SET parts_sent = $2 WHERE id = $1 AND status = 'pending';

-- name: end_delivery
-- The fence: only one of two runs of the same task can end a delivery.
UPDATE notification_deliveries
   SET status = $2, attempts = attempts + 1, provider_code = $3, provider_message = $4, message_id = $5,
       latency_ms = $6, updated_at = $7
 WHERE id = $1 AND status = 'pending'
RETURNING id;

-- name: deliveries
SELECT * FROM notification_deliveries

-- name: name_is_taken
SELECT EXISTS (SELECT FROM user_notification_configs WHERE name = $1 AND id <> $2);
