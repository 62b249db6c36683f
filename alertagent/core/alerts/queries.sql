-- name: ingest
-- Alerts, their events and the task that tells of them, in one statement and so in one commit. Rows are locked in
-- the order of their fingerprints, so that two processes cannot wait for each other. The task bears the trace ($12) of
-- the first alert that it tells of.
WITH incoming AS (
    SELECT *
      FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[],
                  $7::timestamptz[], $8::timestamptz[])
        AS t (fingerprint, is_firing, labels, annotations, generator_url, source, starts_at, ends_at)
     ORDER BY fingerprint
), written AS (
    INSERT INTO alerts AS old (
        fingerprint, status, labels, annotations, generator_url, source, starts_at, ends_at, ended_by,
        last_seen_at, updated_at, fired_at, transition
    )
    SELECT fingerprint, CASE WHEN is_firing THEN 'firing' ELSE 'resolved' END, labels::jsonb, annotations::jsonb,
           generator_url, source, starts_at, ends_at, CASE WHEN is_firing THEN '' ELSE 'source' END, $9, $9, $9,
           CASE WHEN is_firing THEN 'firing' ELSE 'resolved' END
      FROM incoming
    ON CONFLICT (fingerprint) DO UPDATE
       SET (status, starts_at, ends_at, ended_by, not_before, episode, fired_at, transition, updated_at,
            last_seen_at, annotations, generator_url, source, analysis_status, analysis_result, notification_status,
            acknowledged_by, acknowledged_at, assigned_to) = (
           SELECT
               CASE verdict WHEN 'begin' THEN 'firing' WHEN 'end' THEN 'resolved' ELSE old.status END,
               CASE WHEN verdict = 'begin' THEN greatest(excluded.starts_at, old.ends_at)
                    WHEN verdict = 'repeat' AND old.status = 'firing'
                         THEN greatest(least(old.starts_at, excluded.starts_at), old.not_before)
                    ELSE old.starts_at END,
               CASE verdict WHEN 'begin' THEN excluded.ends_at
                            WHEN 'end' THEN excluded.ends_at
                            WHEN 'repeat' THEN greatest(old.ends_at, excluded.ends_at)
                            ELSE old.ends_at END,
               CASE WHEN verdict = 'begin' THEN ''
                    WHEN verdict = 'end' OR verdict = 'repeat' AND old.status = 'resolved' THEN 'source'
                    ELSE old.ended_by END,
               CASE verdict WHEN 'begin' THEN old.ends_at ELSE old.not_before END,
               old.episode + CASE verdict WHEN 'begin' THEN 1 ELSE 0 END,
               CASE verdict WHEN 'begin' THEN $9 ELSE old.fired_at END,
               CASE verdict WHEN 'begin' THEN 'firing' WHEN 'end' THEN 'resolved' ELSE '' END,
               CASE WHEN verdict IN ('begin', 'end') THEN $9 ELSE old.updated_at END,
               $9,
               CASE verdict WHEN 'late' THEN old.annotations ELSE excluded.annotations END,
               CASE verdict WHEN 'late' THEN old.generator_url ELSE excluded.generator_url END,
               excluded.source,
               CASE verdict WHEN 'begin' THEN 'pending' ELSE old.analysis_status END,
               CASE verdict WHEN 'begin' THEN NULL ELSE old.analysis_result END,
               CASE verdict WHEN 'begin' THEN 'pending' ELSE old.notification_status END,
               CASE verdict WHEN 'begin' THEN NULL ELSE old.acknowledged_by END,
               CASE verdict WHEN 'begin' THEN NULL ELSE old.acknowledged_at END,
               CASE verdict WHEN 'begin' THEN NULL ELSE old.assigned_to END
           FROM alert_verdict(old.status, old.starts_at, old.ends_at, old.ended_by, old.updated_at,
                              excluded.status = 'firing', excluded.starts_at, excluded.ends_at, $9, $10) AS verdict)
    RETURNING fingerprint, episode, transition
), events AS (
    INSERT INTO alert_events (fingerprint, episode, kind, at)
    SELECT fingerprint, episode, transition, $9 FROM written WHERE transition <> ''
), task AS (
    INSERT INTO task_queue (id, queue_name, task_type, payload, priority, max_retry, scheduled_at, trace)
    SELECT $11, 'notification', 'dispatch', jsonb_build_object('alerts', jsonb_agg(fingerprint)), 2, 20, $9,
           (SELECT trace FROM unnest($1::text[], $12::text[]) AS t (fingerprint, trace)
             WHERE t.fingerprint = min(written.fingerprint COLLATE "C"))
      FROM written WHERE transition <> ''
    HAVING count(*) > 0
)
SELECT fingerprint, transition FROM written WHERE transition <> '';

-- name: firing_from
SELECT * FROM alerts WHERE status = 'firing' AND source = $1;

-- name: expire
-- Silence ends an alert. After a start of ours nobody is blamed for the time in which nobody could post: an alert
-- last seen before $2 gets until $3.
WITH due AS (
    SELECT fingerprint FROM alerts
     WHERE status = 'firing' AND ends_at < $1 AND (last_seen_at >= $2 OR $1 >= $3)
     ORDER BY fingerprint
     LIMIT 1000
       FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE alerts SET status = 'resolved', ended_by = 'silence', transition = 'resolved', updated_at = $1
      FROM due WHERE alerts.fingerprint = due.fingerprint
    RETURNING alerts.fingerprint, alerts.episode
), events AS (
    INSERT INTO alert_events (fingerprint, episode, kind, at, detail)
    SELECT fingerprint, episode, 'resolved', $1, '{"because": "silence"}' FROM ended
), task AS (
    INSERT INTO task_queue (id, queue_name, task_type, payload, priority, max_retry, scheduled_at)
    SELECT $4, 'notification', 'dispatch', jsonb_build_object('alerts', jsonb_agg(fingerprint)), 2, 20, $1
      FROM ended
    HAVING count(*) > 0
)
SELECT fingerprint FROM ended;

-- name: next_expiry
SELECT min(ends_at) FROM alerts WHERE status = 'firing';

-- name: find
SELECT * FROM alerts WHERE fingerprint = $1;

-- name: find_all
SELECT * FROM alerts WHERE fingerprint = ANY ($1) ORDER BY fingerprint;

-- name: related
-- Other firing alerts that share a place with this one: those of its instance, and from among those that began last the
-- ones of its namespace or cluster. There may be a hundred thousand, of which only these are read.
SELECT alerts.*
  FROM (
        (SELECT fingerprint FROM firing_alerts
          WHERE left(labels ->> 'instance', 100) = left($2, 100) AND labels ->> 'instance' = $2 AND fingerprint <> $1
          ORDER BY starts_at DESC
          LIMIT 20)
         UNION
        (SELECT fingerprint
           FROM (SELECT fingerprint, labels FROM firing_alerts ORDER BY starts_at DESC LIMIT 1000) AS newest
          WHERE (labels ->> 'namespace' = $3 OR labels ->> 'cluster' = $4) AND fingerprint <> $1
          LIMIT 20)
       ) AS found
  JOIN alerts USING (fingerprint)
 ORDER BY starts_at;

-- name: recent_episodes
SELECT count(*) FROM alert_events WHERE fingerprint = $1 AND kind = 'firing' AND at >= $2;

-- name: recent_episodes_of_all
SELECT fingerprint, count(*) AS episodes FROM alert_events
 WHERE fingerprint = ANY ($1) AND kind = 'firing' AND at >= $2
 GROUP BY fingerprint;

-- name: note
INSERT INTO alert_events (fingerprint, episode, kind, at, actor, detail)
SELECT fingerprint, episode, $3, $4, $5, $6 FROM unnest($1::text[], $2::int[]) AS t (fingerprint, episode);

-- name: timeline
SELECT * FROM alert_events
 WHERE fingerprint = $1 AND ($2::bigint IS NULL OR id < $2)
 ORDER BY id DESC
 LIMIT $3;

-- name: untold
-- Those of these episodes whose timelines know of nobody who was told, and of nothing that held them back.
SELECT fingerprint FROM unnest($1::text[], $2::int[]) AS named (fingerprint, episode)
 WHERE NOT EXISTS (SELECT FROM alert_events AS event
                    WHERE event.fingerprint = named.fingerprint AND event.episode = named.episode
                      AND event.kind LIKE 'notification.%');

-- name: analyses_planned
-- Rows are locked in the order of their fingerprints here and below, as in `ingest`.
WITH planned AS (
    SELECT fingerprint, named.task_id
      FROM unnest($1::text[], $2::int[], $3::text[]) AS named (fingerprint, episode, task_id)
      JOIN alerts AS stored USING (fingerprint, episode)
     ORDER BY fingerprint
       FOR UPDATE OF stored
)
UPDATE alerts SET analysis_status = 'analyzing', task_id = planned.task_id
  FROM planned WHERE alerts.fingerprint = planned.fingerprint;

-- name: analyses_ended
-- Only an episode that still waits for this task gets its result, and a line in its timeline if there is one.
WITH waiting AS (
    SELECT fingerprint, task.status, task.result
      FROM unnest($1::text[], $2::int[], $3::text[]) AS named (fingerprint, episode, task_id)
      JOIN unnest($4::text[], $5::text[], $6::jsonb[]) AS task (task_id, status, result) USING (task_id)
      JOIN alerts AS stored USING (fingerprint, episode)
     WHERE stored.task_id = named.task_id AND stored.analysis_status = 'analyzing'
     ORDER BY fingerprint
       FOR UPDATE OF stored
), ended AS (
    UPDATE alerts SET analysis_status = waiting.status, analysis_result = coalesce(waiting.result, analysis_result)
      FROM waiting
     WHERE alerts.fingerprint = waiting.fingerprint
    RETURNING alerts.fingerprint, alerts.episode, waiting.status, coalesce(waiting.result, '{}') AS result
), noted AS (
    INSERT INTO alert_events (fingerprint, episode, kind, at, actor, detail)
    SELECT fingerprint, episode, status, $7, 'alertagent', result FROM ended WHERE status <> 'pending'
)
SELECT fingerprint FROM ended WHERE status <> 'pending';

-- name: notified
-- The line in each timeline, and the last status that is said of those whose episode is still the same.
WITH said AS (
    SELECT *
      FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::jsonb[])
      WITH ORDINALITY AS t (fingerprint, episode, kind, status, detail, place)
), latest AS (
    SELECT DISTINCT ON (fingerprint, episode) fingerprint, episode, status
      FROM said
     WHERE status IS NOT NULL
     ORDER BY fingerprint, episode, place DESC
), told AS (
    SELECT fingerprint, latest.status
      FROM latest
      JOIN alerts AS stored USING (fingerprint, episode)
     ORDER BY fingerprint
       FOR UPDATE OF stored
), marked AS (
    UPDATE alerts SET notification_status = told.status
      FROM told
     WHERE alerts.fingerprint = told.fingerprint AND alerts.notification_status <> told.status
)
INSERT INTO alert_events (fingerprint, episode, kind, at, actor, detail)
SELECT fingerprint, episode, kind, $6, 'alertagent', detail FROM said;

-- name: forget_alerts
-- A batch of those that ended long ago; one that begins anew at this very moment is left.
DELETE FROM alerts WHERE fingerprint IN (
    SELECT fingerprint FROM alerts
     WHERE status = 'resolved' AND updated_at < $1
     ORDER BY updated_at
     LIMIT $2
       FOR UPDATE SKIP LOCKED
);

-- name: forget_other_events
DELETE FROM alert_events_other WHERE at < $1;

-- name: lock_weeks
-- One process at a time; false: another is at it.
SELECT pg_try_advisory_xact_lock(hashtextextended('alert_events', 0));

-- name: weeks
-- The parts of the timeline and when each ends.
SELECT part.relname AS name,
       substring(pg_get_expr(part.relpartbound, part.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz AS ends_at
  FROM pg_inherits
  JOIN pg_class AS part ON part.oid = inhrelid
 WHERE inhparent = 'alert_events'::regclass AND part.relname <> 'alert_events_other';

-- name: lock_standings
SELECT fingerprint, episode, status = 'firing' AS is_firing, acknowledged_by, assigned_to
  FROM alerts WHERE fingerprint = ANY ($1) ORDER BY fingerprint FOR UPDATE;

-- name: acknowledge
-- Null takes it back.
UPDATE alerts SET acknowledged_by = $2, acknowledged_at = $3 WHERE fingerprint = ANY ($1);

-- name: assign
UPDATE alerts SET assigned_to = $2 WHERE fingerprint = ANY ($1);

-- name: resolve_by_hand
-- `alert_verdict` takes "firing" with the old start for late after this, until the source has insisted for long enough.
UPDATE alerts
   SET status = 'resolved', ended_by = 'hand', transition = 'resolved', ends_at = greatest(starts_at, $2), updated_at = $2
 WHERE fingerprint = ANY ($1);

-- name: listing
SELECT * FROM alerts

-- name: firing
-- The same list where only firing alerts are asked for. A LEFT JOIN, because PostgreSQL leaves it out where it counts
-- rows or takes only columns of firing_alerts; no row of those is without its alert.
SELECT alerts.*, firing.fingerprint AS id, firing.labels AS own_labels, firing.starts_at AS began_at,
       firing.updated_at AS changed_at, firing.acknowledged_by AS acknowledger, firing.assigned_to AS assignee,
       firing.words
  FROM firing_alerts AS firing
  LEFT JOIN alerts ON alerts.fingerprint = firing.fingerprint

-- name: count_firing
SELECT count(*) FROM firing_alerts;

-- name: firing_having
-- Those with these labels, after ($2, $3) in the order in which they began, the last one first.
SELECT fingerprint, labels, starts_at
  FROM firing_alerts
 WHERE labels @> $1 AND (starts_at, fingerprint) < (coalesce($2::timestamptz, 'infinity'), $3::text)
 ORDER BY starts_at DESC, fingerprint DESC
 LIMIT $4;

-- name: seen
SELECT firing.labels, alerts.last_seen_at
  FROM firing_alerts AS firing
  JOIN alerts ON alerts.fingerprint = firing.fingerprint AND alerts.source <> $1
