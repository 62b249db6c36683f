-- name: channels
SELECT * FROM user_notification_configs

-- name: find_channel
SELECT * FROM user_notification_configs WHERE id = $1;

-- name: find_channel_for_change
SELECT * FROM user_notification_configs WHERE id = $1 FOR UPDATE;

-- name: channels_named
SELECT * FROM user_notification_configs WHERE name = ANY ($1);

-- name: speaks_for
-- A channel in whose pool this one is.
SELECT name FROM user_notification_configs WHERE $1 = ANY (pool) ORDER BY name LIMIT 1;

-- name: channel_names
-- Of channels and of users.
SELECT name, enabled AND is_default AND NOT EXISTS (
           SELECT FROM notification_plugins AS plugin WHERE plugin.name = plugin_name AND NOT plugin.enabled
       ) AS hears_everything
  FROM user_notification_configs
UNION ALL
SELECT DISTINCT 'user:' || user_id, false FROM user_notification_configs WHERE user_id IS NOT NULL
 ORDER BY name;

-- name: channels_behind
-- Those of these names, and those of the users among them.
SELECT * FROM user_notification_configs
 WHERE name = ANY ($1) OR 'user:' || user_id = ANY ($1)
 ORDER BY name;

-- name: hold_channels
-- And those of users. Whoever deletes or changes one waits, and then finds the document that names it.
SELECT name, 'user:' || user_id AS user_name
  FROM user_notification_configs
 WHERE name = ANY ($1) OR 'user:' || user_id = ANY ($1)
 ORDER BY name
   FOR KEY SHARE;

-- name: hold_channels_of
-- Those of a user that may be told now; none goes before the transaction ends.
SELECT id, name FROM user_notification_configs
 WHERE user_id = $1 AND enabled
   AND NOT EXISTS (SELECT FROM notification_plugins AS plugin WHERE plugin.name = plugin_name AND NOT plugin.enabled)
 ORDER BY name
   FOR KEY SHARE;

-- name: lock_user
-- Two who take the last two channels of a user away, each one of them, would each see the other.
SELECT pg_advisory_xact_lock(hashtextextended('channels of ' || $1, 0));

-- name: has_another
SELECT EXISTS (SELECT FROM user_notification_configs WHERE user_id = $1 AND id <> $2);

-- name: default_channels
SELECT * FROM user_notification_configs
 WHERE enabled AND is_default
-- name: usable_channels
SELECT id, name, user_id, is_default, min_severity, quiet_hours FROM user_notification_configs
 WHERE enabled
   AND NOT EXISTS (SELECT FROM notification_plugins AS plugin WHERE plugin.name = plugin_name AND NOT plugin.enabled)
 ORDER BY id;

-- name: add_channel
INSERT INTO user_notification_configs (
    id, name, plugin_name, config, enabled, is_default, fallback, user_id, min_severity, quiet_hours, pool, language,
    template
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: replace_channel
UPDATE user_notification_configs
   SET name = $2, plugin_name = $3, config = $4, enabled = $5, is_default = $6, fallback = $7, user_id = $8,
       min_severity = $9, quiet_hours = $10, pool = $11, language = $12, template = $13,
       paused_until = NULL, revision = revision + 1, updated_at = now()
 WHERE id = $1
RETURNING *;

-- name: remove_channel
DELETE FROM user_notification_configs WHERE id = $1;

-- name: disabled_plugins
SELECT name FROM notification_plugins WHERE NOT enabled;

-- name: switch_plugin
-- Nothing comes back where nothing changes. Of whom nothing is known, that one is switched on.
INSERT INTO notification_plugins AS known (name, enabled, updated_by)
SELECT $1, $2, $3 WHERE NOT $2 OR EXISTS (SELECT FROM notification_plugins WHERE name = $1)
ON CONFLICT (name) DO UPDATE SET enabled = $2, updated_by = $3, updated_at = now() WHERE known.enabled <> $2
RETURNING name;

-- name: announce_plugins
SELECT pg_notify($1, '');

-- name: pause_channel
UPDATE user_notification_configs SET paused_until = greatest(paused_until, $2) WHERE id = $1;

-- name: disable_channel
UPDATE user_notification_configs SET enabled = false, revision = revision + 1, updated_at = now() WHERE id = $1;

-- name: forget_threads
-- With other settings a channel may lead to another place.
UPDATE notification_log SET thread = NULL WHERE channel_id = $1 AND thread IS NOT NULL;

-- name: forget_failures
-- What a channel could not be told before it was changed, it is told now.
DELETE FROM notification_log WHERE channel_id = $1 AND failed;

-- name: add_groups
INSERT INTO notification_groups (key, receiver, labels, route, revision)
SELECT *, $5 FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[])
ON CONFLICT (key) DO NOTHING;

-- name: make_groups
-- With their timers; those that are there already are not returned.
INSERT INTO notification_groups (key, receiver, labels, route, flush_at, generation, revision)
SELECT key, receiver, labels, route, flush_at, 1, $6
  FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[], $5::timestamptz[])
    AS new (key, receiver, labels, route, flush_at)
ON CONFLICT (key) DO NOTHING
RETURNING key;

-- name: lock_groups
-- In the order of their keys, so that two dispatchers cannot wait for each other.
SELECT * FROM notification_groups WHERE key = ANY ($1) ORDER BY key FOR UPDATE;

-- name: sizes_of_groups
-- How many alerts are in each of them.
SELECT group_key AS key, count(*) AS size FROM notification_group_alerts WHERE group_key = ANY ($1) GROUP BY group_key;

-- name: hold_groups
-- None of these goes before the transaction ends.
SELECT key FROM notification_groups WHERE key = ANY ($1) ORDER BY key FOR KEY SHARE;

-- name: find_groups
SELECT * FROM notification_groups WHERE key = ANY ($1);

-- name: hearers
-- Channels by name or user, or all default ones ($1 null), and what each knows of a group.
SELECT channel.id, channel.name, channel.user_id, channel.paused_until,
       told.firing, told.resolved, told.told_at, told.failed,
       channel.enabled AND NOT EXISTS (
           SELECT FROM notification_plugins AS plugin WHERE plugin.name = plugin_name AND NOT plugin.enabled
       ) AS is_on,
       EXISTS (SELECT FROM notification_deliveries AS delivery
                WHERE delivery.group_key = $2 AND delivery.channel_id = channel.id AND delivery.status = 'pending')
           AS is_being_told
  FROM user_notification_configs AS channel
  LEFT JOIN notification_log AS told ON told.group_key = $2 AND told.channel_id = channel.id
 WHERE CASE WHEN $1::text[] IS NULL THEN channel.is_default
            ELSE channel.name = ANY ($1) OR 'user:' || channel.user_id = ANY ($1) END
 ORDER BY channel.name;

-- name: due_at_once
-- Every group whose flush is not under way: those that were to be looked at later, and those whose timer is lost.
SELECT key FROM notification_groups
 WHERE flush_at IS NULL OR flush_at > $1 OR flush_at < $2
 ORDER BY key
   FOR UPDATE;

-- name: add_members
INSERT INTO notification_group_alerts (group_key, fingerprint)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING;

-- name: members
-- Here and below group by group: in a storm the planner still takes the table for small, and would read all of it.
SELECT member.*
  FROM unnest($1::text[]) AS asked (key)
 CROSS JOIN LATERAL (
       SELECT group_key, fingerprint, held, held_for
         FROM notification_group_alerts WHERE group_key = asked.key
       OFFSET 0) AS member;

-- name: hold_members
UPDATE notification_group_alerts AS member SET held = judged.held
  FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS judged (group_key, fingerprint, held)
 WHERE member.group_key = judged.group_key AND member.fingerprint = judged.fingerprint;

-- name: hold_members_for
UPDATE notification_group_alerts AS member SET held_for = judged.held_for
  FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS judged (group_key, fingerprint, held_for)
 WHERE member.group_key = judged.group_key AND member.fingerprint = judged.fingerprint;

-- name: adopt_groups
-- Groups that the routing document of this revision still has; their receivers may be others.
UPDATE notification_groups AS stored SET receiver = adopted.receiver, revision = $3
  FROM unnest($1::text[], $2::text[]) AS adopted (key, receiver)
 WHERE stored.key = adopted.key;

-- name: inherit_told
-- What a channel knows of alerts that moved here it need not hear again.
INSERT INTO notification_log (group_key, channel_id, firing, resolved, told_at)
SELECT group_key, channel_id, array_agg(alert), '{}', min(told_at)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS moved (group_key, channel_id, alert, told_at)
 WHERE EXISTS (SELECT FROM user_notification_configs WHERE id = channel_id)
 GROUP BY group_key, channel_id
ON CONFLICT (group_key, channel_id) DO UPDATE
   SET firing = (SELECT array_agg(DISTINCT alert) FROM unnest(notification_log.firing || excluded.firing) AS alert);

-- name: drop_members
DELETE FROM notification_group_alerts AS member
 USING unnest($1::text[], $2::text[]) AS settled (group_key, fingerprint)
 WHERE member.group_key = settled.group_key AND member.fingerprint = settled.fingerprint;

-- name: remove_groups
DELETE FROM notification_groups WHERE key = ANY ($1);

-- name: plan_flushes
-- Set the timers of locked groups; null stops one. $3 is when ticks begin to count, in a flush.
UPDATE notification_groups AS stored
   SET flush_at = planned.due, generation = generation + 1, ticks_from = coalesce(ticks_from, $3)
  FROM unnest($1::text[], $2::timestamptz[]) AS planned (key, due)
 WHERE stored.key = planned.key
RETURNING stored.key, stored.generation;

-- name: told
SELECT told.*
  FROM unnest($1::text[]) AS asked (key)
 CROSS JOIN LATERAL (SELECT * FROM notification_log WHERE group_key = asked.key OFFSET 0) AS told;

-- name: abandon_deliveries
-- A delivery whose task has ended without ending it (its worker died again and again, say) would hold up everything
-- after it. One that a digest tells has no task of its own any more, but somebody works on its channel's digests.
UPDATE notification_deliveries AS delivery
   SET status = 'failed', provider_message = 'every attempt to deliver it broke down', updated_at = $2
 WHERE group_key = ANY ($1) AND status = 'pending'
   AND NOT EXISTS (SELECT FROM task_queue AS task
                    WHERE task.id IN (delivery.id::uuid, delivery.begun_by)
                      AND task.status IN ('pending', 'processing'))
   AND NOT (digest_id IS NOT NULL AND EXISTS (
           SELECT FROM notification_deliveries AS digest
             JOIN task_queue AS task ON task.id = digest.id::uuid AND task.status IN ('pending', 'processing')
            WHERE digest.channel_id = delivery.channel_id AND digest.receiver = 'digest'
              AND digest.status = 'pending'));

-- name: open_deliveries
SELECT delivery.*
  FROM unnest($1::text[]) AS asked (key)
 CROSS JOIN LATERAL (
       SELECT group_key, channel_id FROM notification_deliveries WHERE group_key = asked.key AND status = 'pending'
       OFFSET 0) AS delivery;

-- name: add_deliveries
-- Each list of alerts comes inside an object: a list of lists would be taken for an array of two dimensions.
INSERT INTO notification_deliveries (
    id, channel_id, group_key, receiver, group_labels, alerts, due_at, begun_by, created_at, updated_at
)
SELECT id, channel_id, group_key, receiver, group_labels, planned -> 'alerts', due_at, begun_by, $9, $9
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::timestamptz[], $8::uuid[])
    AS new (id, channel_id, group_key, receiver, group_labels, planned, due_at, begun_by);

-- name: leave_begun
-- Those of these deliveries that this task has begun; it works on them no more.
UPDATE notification_deliveries SET begun_by = NULL WHERE id = ANY ($1) AND begun_by = $2 RETURNING id;

-- name: leave_begun_of_groups
UPDATE notification_deliveries SET begun_by = NULL
 WHERE group_key = ANY ($1) AND status = 'pending' AND begun_by = ANY ($2)
RETURNING id;

-- name: note_assigner
UPDATE notification_deliveries SET assigned_by = $2 WHERE id = $1;

-- name: delivery
SELECT * FROM notification_deliveries WHERE id = $1;

-- name: failed_deliveries
-- Those of these that can be taken up, the newest first: of two about the same group the older one comes too late.
SELECT * FROM notification_deliveries
 WHERE id = ANY ($1) AND status || '' = 'failed' AND digest_id IS NULL
 ORDER BY id DESC;

-- name: failed_members
SELECT group_key FROM notification_deliveries WHERE digest_id = ANY ($1) AND status = 'failed';

-- name: take_up_deliveries
-- One that failed, and what it was to tell if it is a digest; not where something newer was sent or is on its way.
UPDATE notification_deliveries AS failed SET status = 'pending', alone_since = NULL
 WHERE (id = $1 OR digest_id = $1) AND status = 'failed'
   AND NOT EXISTS (SELECT FROM notification_deliveries AS newer
                    WHERE newer.group_key = failed.group_key AND newer.channel_id = failed.channel_id
                      AND (newer.status = 'pending' OR newer.status = 'sent' AND newer.id > failed.id))
RETURNING id;

-- name: waiting_deliveries
SELECT id FROM notification_deliveries WHERE channel_id = ANY ($1) AND status = 'pending' ORDER BY due_at, id;

-- name: find_deliveries
-- Here and below `status || ''` keeps the planner to the ids: in a storm its statistics still say that nothing is
-- pending, and it would read the whole index of what is.
SELECT delivery.*, told.thread AS group_thread,
       CASE WHEN told.thread IS NOT NULL THEN told.firing ELSE '{}' END AS known_firing
  FROM notification_deliveries AS delivery
  LEFT JOIN notification_log AS told
    ON told.group_key = delivery.group_key AND told.channel_id = delivery.channel_id
 WHERE delivery.id = ANY ($1) AND delivery.status || '' = 'pending';

-- name: channels_to_tell
-- With whether each may be called at all.
SELECT channel.*,
       channel.enabled AND NOT EXISTS (
           SELECT FROM notification_plugins AS plugin WHERE plugin.name = channel.plugin_name AND NOT plugin.enabled
       ) AS is_on
  FROM user_notification_configs AS channel
 WHERE channel.id = ANY ($1);

-- name: attempted
UPDATE notification_deliveries
   SET attempts = attempts + 1, provider_code = $2, provider_message = $3, latency_ms = $4, updated_at = $5,
       is_ambiguous = is_ambiguous OR $6
 WHERE id = $1 AND status || '' = 'pending';

-- name: note_template_error
UPDATE notification_deliveries SET template_error = $2 WHERE id = $1;

-- name: part_sent
UPDATE notification_deliveries SET parts_sent = $2, is_ambiguous = false, thread = coalesce($3, thread)
 WHERE id = $1 AND status || '' = 'pending';

-- name: lock_chains
-- Whoever makes, fills or ends digests of these channels.
SELECT FROM user_notification_configs WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE;

-- name: chain
-- The digests of a channel in their order; one at most has a task, the one that is under way.
SELECT id, EXISTS (SELECT FROM task_queue AS task
                    WHERE task.id = digest.id::uuid AND task.status IN ('pending', 'processing')) AS has_task
  FROM notification_deliveries AS digest
 WHERE channel_id = $1 AND receiver = 'digest' AND status = 'pending'
 ORDER BY created_at, id;

-- name: next_digests
-- The first one of each of these channels, unless it is under way.
SELECT DISTINCT ON (channel_id) id
  FROM notification_deliveries AS digest
 WHERE channel_id = ANY ($1) AND receiver = 'digest' AND status = 'pending'
   AND NOT EXISTS (SELECT FROM task_queue AS task
                    WHERE task.id = digest.id::uuid AND task.status IN ('pending', 'processing'))
 ORDER BY channel_id, created_at, id;

-- name: break_chain
-- The task of its first digest has ended without ending it. Members whose tasks are there go on by themselves, and
-- the groups of the others find them abandoned.
WITH broken AS (
    UPDATE notification_deliveries
       SET status = 'failed', provider_message = 'every attempt to deliver it broke down', updated_at = $2
     WHERE channel_id = $1 AND receiver = 'digest' AND status = 'pending'
)
UPDATE notification_deliveries SET digest_id = NULL
 WHERE channel_id = $1 AND status = 'pending' AND digest_id IS NOT NULL;

-- name: late_deliveries
-- What a digest may tell, oldest first: not what may have arrived, of which a receiver knows the id; and not what
-- somebody attempts at this moment, or ends.
SELECT id, alerts
  FROM notification_deliveries AS delivery
 WHERE channel_id = $1 AND status = 'pending' AND due_at <= $2 AND digest_id IS NULL
   AND receiver NOT IN ('digest', 'escalation', 'assignment') AND parts_sent = 0 AND NOT is_ambiguous
   AND (alone_since IS NULL OR alone_since <= updated_at OR alone_since < $3)
   AND EXISTS (SELECT FROM task_queue AS task
                WHERE task.id = delivery.id::uuid AND task.status IN ('pending', 'processing'))
 ORDER BY due_at, id
 LIMIT 5000
   FOR NO KEY UPDATE SKIP LOCKED;

-- name: members_of_digests
SELECT * FROM notification_deliveries WHERE digest_id = ANY ($1) AND status = 'pending' ORDER BY due_at, id;

-- name: add_digests
-- Or fill one anew.
INSERT INTO notification_deliveries (
    id, channel_id, group_key, receiver, group_labels, alerts, created_at, updated_at
)
SELECT id, $2, 'digest:' || id, 'digest', '{}', told -> 'alerts', at, at
  FROM unnest($1::text[], $3::jsonb[], $4::timestamptz[]) AS new (id, told, at)
ON CONFLICT (id) DO UPDATE SET alerts = excluded.alerts;

-- name: join_digests
UPDATE notification_deliveries AS delivery
   SET digest_id = joining.digest_id, alerts = joining.told -> 'alerts'
  FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS joining (id, digest_id, told)
 WHERE delivery.id = joining.id;

-- name: go_alone
-- Those of these that no digest tells. A digest that is made meanwhile leaves them out until their attempt has ended.
UPDATE notification_deliveries SET alone_since = $2
 WHERE id = ANY ($1) AND status || '' = 'pending' AND digest_id IS NULL
RETURNING id;

-- name: wait_again
-- They were to be attempted and were not.
UPDATE notification_deliveries SET alone_since = NULL WHERE id = ANY ($1) AND status || '' = 'pending';

-- name: untold
SELECT id FROM notification_deliveries WHERE id = ANY ($1) AND status || '' = 'pending' AND digest_id IS NULL;

-- name: add_stand_ins
-- Text arrays of different lengths cannot travel as an array of arrays, so the names come as JSON. The receiver of the
-- failed one stays where none is given.
INSERT INTO notification_deliveries (
    id, channel_id, group_key, receiver, group_labels, alerts, stands_in_for, fallback, due_at, assigned_by
)
SELECT new.id, new.channel_id, failed.group_key, coalesce(nullif(new.receiver, ''), failed.receiver),
       failed.group_labels, failed.alerts, failed.channel_id,
       ARRAY (SELECT jsonb_array_elements_text(new.names -> 'left')), failed.due_at,
       failed.assigned_by
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
    AS new (id, channel_id, failed_id, receiver, names)
  JOIN notification_deliveries AS failed ON failed.id = new.failed_id
ON CONFLICT (group_key, channel_id) WHERE status = 'pending' DO NOTHING
RETURNING id;

-- name: telling_as_much
-- Those of these deliveries of which the channel beside each is being told all that fires.
SELECT failed.id
  FROM unnest($1::text[], $2::text[]) AS given (id, channel_id)
  JOIN notification_deliveries AS failed USING (id)
  JOIN notification_deliveries AS other
    ON other.group_key = failed.group_key AND other.channel_id = given.channel_id AND other.status = 'pending'
 WHERE NOT EXISTS (
       SELECT FROM jsonb_array_elements(failed.alerts) AS alert
        WHERE alert ->> 'status' = 'firing'
          AND NOT other.alerts @> jsonb_build_array(jsonb_build_object(
              'fingerprint', alert -> 'fingerprint', 'episode', alert -> 'episode', 'status', 'firing')));

-- name: knowing_ends
-- Those of these deliveries, about ends only, that the channel beside each need not hear: it was told of them before.
SELECT delivery.id
  FROM unnest($1::text[], $2::text[]) AS given (id, channel_id)
  JOIN notification_deliveries AS delivery USING (id)
  JOIN notification_log AS told ON told.group_key = delivery.group_key AND told.channel_id = given.channel_id
 WHERE told.firing = '{}'
   AND (SELECT bool_and(concat(alert ->> 'fingerprint', '/', alert ->> 'episode') = ANY (told.resolved))
          FROM jsonb_array_elements(delivery.alerts) AS alert);

-- name: await_ends
-- The ends of what these deliveries tell of as firing are to be told, too.
INSERT INTO awaited_ends (delivery_id, fingerprint)
SELECT id, alert ->> 'fingerprint'
  FROM notification_deliveries, jsonb_array_elements(alerts) AS alert
 WHERE id = ANY ($1) AND alert ->> 'status' = 'firing'
ON CONFLICT DO NOTHING;

-- name: awaiting_alerts
SELECT DISTINCT delivery_id FROM awaited_ends WHERE fingerprint = ANY ($1);

-- name: awaiting_places
-- Those which told these channels of these groups.
SELECT DISTINCT delivery_id
  FROM awaited_ends
  JOIN notification_deliveries AS delivery ON delivery.id = delivery_id
 WHERE (channel_id, group_key) IN (SELECT * FROM unnest($1::text[], $2::text[]));

-- name: forget_awaited
-- These channels know the ends of these groups.
DELETE FROM awaited_ends
 USING notification_deliveries AS delivery
 WHERE delivery.id = delivery_id
   AND (channel_id, group_key) IN (SELECT * FROM unnest($1::text[], $2::text[]));

-- name: lock_channels_told
SELECT FROM user_notification_configs
 WHERE id IN (SELECT channel_id FROM notification_deliveries WHERE id = ANY ($1))
 ORDER BY id
   FOR KEY SHARE;

-- name: lock_awaited
-- By channel and group, the latest last.
SELECT delivery.id, channel_id, group_key, receiver, alerts, status, is_ambiguous, channel.name AS channel_name,
       channel.plugin_name, channel.user_id, channel.is_default, channel.min_severity
  FROM notification_deliveries AS delivery
  JOIN user_notification_configs AS channel ON channel.id = channel_id
 WHERE delivery.id = ANY ($1)
 ORDER BY channel_id, group_key, delivery.created_at, delivery.id
   FOR UPDATE OF delivery;

-- name: being_told
-- Those of these deliveries whose channel is being told of their group. Asked when they are locked, for whoever ends
-- what is pending looks at them, too.
SELECT delivery.id
  FROM notification_deliveries AS delivery
 WHERE delivery.id = ANY ($1)
   AND EXISTS (SELECT FROM notification_deliveries AS other
                WHERE other.group_key = delivery.group_key AND other.channel_id = delivery.channel_id
                  AND other.status = 'pending');

-- name: settle_awaited
-- The fence: only one of two that find the end plans it.
WITH gone AS (DELETE FROM awaited_ends WHERE delivery_id = ANY ($1) RETURNING delivery_id)
SELECT DISTINCT delivery_id FROM gone;

-- name: add_ends
INSERT INTO notification_deliveries (
    id, channel_id, group_key, receiver, group_labels, alerts, thread, due_at, created_at, updated_at
)
SELECT new.id, told.channel_id, told.group_key, told.receiver, told.group_labels, new.over -> 'alerts', told.thread,
       $4, $4, $4
  FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS new (id, told_id, over)
  JOIN notification_deliveries AS told ON told.id = new.told_id;

-- name: lock_told_groups
-- Before the channels, and both in order, as whoever flushes or removes them does.
SELECT FROM notification_groups WHERE key = ANY ($1) ORDER BY key FOR UPDATE;

-- name: lock_told_channels
SELECT FROM user_notification_configs WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE;

-- name: end_deliveries
-- The fence: only one of two runs of the same task can end a delivery. A cancelled one was not told.
WITH ended AS (
    UPDATE notification_deliveries AS delivery
       SET status = given.status, attempts = attempts + 1, provider_code = given.code,
           provider_message = given.message, message_id = given.message_id, latency_ms = given.latency_ms,
           updated_at = $7, sent_by = given.sent_by, thread = coalesce(given.thread, delivery.thread)
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $8::text[],
                  $9::text[])
        AS given (id, status, code, message, message_id, latency_ms, sent_by, thread)
     WHERE delivery.id = given.id AND delivery.status || '' = 'pending'
    RETURNING delivery.id, delivery.group_key, delivery.channel_id, delivery.status, delivery.alerts,
              delivery.thread
), told AS (
    INSERT INTO notification_log (group_key, channel_id, firing, resolved, told_at, failed, thread)
    SELECT group_key, channel_id, keys.firing, keys.resolved, $7, ended.status = 'failed',
           CASE WHEN keys.firing <> '{}' THEN ended.thread END
      FROM ended
      JOIN notification_groups ON key = group_key
     CROSS JOIN LATERAL (
           SELECT coalesce(array_agg(name) FILTER (WHERE alert ->> 'status' = 'firing'), '{}') AS firing,
                  coalesce(array_agg(name) FILTER (WHERE alert ->> 'status' = 'resolved'), '{}') AS resolved
             FROM jsonb_array_elements(alerts) AS alert,
                  concat(alert ->> 'fingerprint', '/', alert ->> 'episode') AS name
           ) AS keys
     WHERE ended.status <> 'cancelled'
    ON CONFLICT (group_key, channel_id) DO UPDATE
       SET firing = excluded.firing, resolved = excluded.resolved, told_at = excluded.told_at,
           failed = excluded.failed,
           thread = CASE WHEN excluded.firing <> '{}' THEN coalesce(excluded.thread, notification_log.thread) END
)
SELECT id FROM ended;

-- name: add_sources
INSERT INTO inhibition_sources (rule, agreed, fingerprint, is_target)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
ON CONFLICT DO NOTHING;

-- name: forget_sources
DELETE FROM inhibition_sources WHERE fingerprint = ANY ($1);

-- name: forget_rules
-- The sources of inhibitions that no document has any more.
DELETE FROM inhibition_sources WHERE rule <> ALL ($1);

-- name: inhibitors
-- A few of those that inhibit each alert, however many do.
SELECT asked.fingerprint, source.fingerprint AS inhibitor
  FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS asked (fingerprint, rule, agreed, is_both)
 CROSS JOIN LATERAL (
       SELECT fingerprint
         FROM inhibition_sources AS source
         JOIN firing_alerts USING (fingerprint)
        WHERE source.rule = asked.rule AND source.agreed = asked.agreed AND NOT (asked.is_both AND source.is_target)
        LIMIT 5) AS source;

-- name: deliveries
SELECT * FROM notification_deliveries
