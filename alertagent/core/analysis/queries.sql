-- name: analyzers
SELECT * FROM analyzers

-- name: find_analyzer
SELECT * FROM analyzers WHERE id = $1;

-- name: find_analyzer_for_change
SELECT * FROM analyzers WHERE id = $1 FOR UPDATE;

-- name: default_analyzer
SELECT * FROM analyzers WHERE is_default AND enabled;

-- name: lock_analyzers
-- Whoever makes one the default.
LOCK TABLE analyzers IN SHARE ROW EXCLUSIVE MODE;

-- name: no_default
UPDATE analyzers SET is_default = false, revision = revision + 1, updated_at = now() WHERE is_default AND id <> $1;

-- name: add_analyzer
INSERT INTO analyzers (id, name, provider, config, enabled, is_default)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: replace_analyzer
UPDATE analyzers
   SET name = $2, provider = $3, config = $4, enabled = $5, is_default = $6, revision = revision + 1, updated_at = now()
 WHERE id = $1
RETURNING *;

-- name: remove_analyzer
DELETE FROM analyzers WHERE id = $1;

-- name: policy
SELECT * FROM analysis_policy;

-- name: lock_policy
-- Also where there is none yet.
LOCK TABLE analysis_policy IN SHARE ROW EXCLUSIVE MODE;

-- name: store_policy
INSERT INTO analysis_policy (filter, hold, max_per_hour, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (only_row) DO UPDATE
   SET filter = excluded.filter, hold = excluded.hold, max_per_hour = excluded.max_per_hour,
       revision = analysis_policy.revision + 1, updated_by = excluded.updated_by, updated_at = excluded.updated_at
RETURNING *;

-- name: lock_budget
-- Until the transaction ends nobody else spends anything.
SELECT pg_advisory_xact_lock(hashtextextended('analysis_budget', 0));

-- name: spent
SELECT count(*) FROM analysis_runs WHERE created_at > $1 AND NOT is_free;

-- name: open_runs
-- Of each of these groups the one that has not ended, unless nobody waits for it any more.
SELECT DISTINCT ON (group_key) group_key, id
  FROM analysis_runs
 WHERE group_key = ANY ($1) AND ended_at IS NULL AND deadline > $2
 ORDER BY group_key, created_at DESC;

-- name: count_recent_runs
-- Those that are open and those that began lately. Counting stops at $1.
SELECT (SELECT count(*) FROM (SELECT FROM analysis_runs WHERE ended_at IS NULL AND created_at <= $2 LIMIT $1) AS open)
     + (SELECT count(*) FROM (SELECT FROM analysis_runs WHERE created_at > $2 LIMIT $1) AS begun);

-- name: add_runs
INSERT INTO analysis_runs (id, group_key, alertname, analyzer_id, is_free, deadline, created_at)
SELECT id, group_key, alertname, $4, $5, $6, $7 FROM unnest($1::text[], $2::text[], $3::text[])
    AS new (id, group_key, alertname);

-- name: add_run_alerts
INSERT INTO analysis_run_alerts (run_id, fingerprint, episode)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[])
ON CONFLICT DO NOTHING;

-- name: find_run
SELECT run.*, array(SELECT fingerprint FROM analysis_run_alerts WHERE run_id = run.id ORDER BY place) AS fingerprints,
       array(SELECT episode FROM analysis_run_alerts WHERE run_id = run.id ORDER BY place) AS episodes
  FROM analysis_runs AS run
 WHERE id = $1;

-- name: note_run
UPDATE analysis_runs SET notes = notes || $2 WHERE id = $1;

-- name: open_callback
UPDATE analysis_runs SET callback_digest = $2, deadline = $3 WHERE id = $1;

-- name: park_run
UPDATE analysis_runs SET status = 'parked' WHERE id = $1 AND ended_at IS NULL RETURNING deadline;

-- name: end_runs
-- The fence: a run ends once, whether its task, its callback or its deadline was first. Tells who was asked; $6 where
-- that is the built-in analyzer, or one that was deleted since.
UPDATE analysis_runs AS run
   SET status = given.status, result = given.result, called_back = run.called_back OR given.called_back, ended_at = $5
  FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::boolean[]) AS given (id, status, result, called_back)
 WHERE run.id = given.id AND run.ended_at IS NULL
RETURNING run.id, coalesce((SELECT provider FROM analyzers WHERE analyzers.id = run.analyzer_id), $6) AS provider;

-- name: run_episodes
SELECT run_id, fingerprint, episode FROM analysis_run_alerts WHERE run_id = ANY ($1) ORDER BY run_id, place;

-- name: overdue_runs
SELECT id FROM analysis_runs WHERE ended_at IS NULL AND deadline < $1 ORDER BY id LIMIT 1000;

-- name: forget_runs
DELETE FROM analysis_runs WHERE ended_at < $1;

-- name: waiting_groups
-- Of the groups whose notifications are due: what is known of their waiting, and whether there is something to wait for.
SELECT due.key, held.until, policy.hold,
       EXISTS (SELECT FROM analysis_runs AS run
                WHERE run.group_key = due.key AND run.ended_at IS NULL AND run.deadline > $2) AS is_asked
  FROM unnest($1::text[]) AS due (key)
  LEFT JOIN analysis_holds AS held ON held.group_key = due.key
  LEFT JOIN analysis_policy AS policy ON policy.hold > interval '0'
 WHERE held.until IS NOT NULL OR policy.hold IS NOT NULL;

-- name: hold_groups
INSERT INTO analysis_holds (group_key, until)
SELECT * FROM unnest($1::text[], $2::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: release_groups
DELETE FROM analysis_holds WHERE group_key = ANY ($1);

-- name: held_groups
SELECT group_key FROM analysis_holds WHERE group_key = ANY ($1) AND until > $2;

-- name: forget_holds
DELETE FROM analysis_holds WHERE until < $1;

-- name: give_feedback
-- Whoever has thought better of it says so again.
INSERT INTO analysis_feedback (fingerprint, episode, author, verdict, comment, at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (fingerprint, episode, author) DO UPDATE
   SET verdict = excluded.verdict, comment = excluded.comment, at = excluded.at;

-- name: forget_feedback
DELETE FROM analysis_feedback WHERE at < $1;

-- name: earlier
-- The last analyses of alerts of this name with what was said of them; those that somebody judged come first.
SELECT run.result, run.ended_at,
       array(SELECT concat_ws(' ', CASE verdict WHEN 'up' THEN '+1' ELSE '-1' END, nullif(comment, ''))
               FROM analysis_run_alerts AS about
               JOIN analysis_feedback AS said USING (fingerprint, episode)
              WHERE about.run_id = run.id
              ORDER BY at DESC
              LIMIT 5) AS feedback
  FROM analysis_runs AS run
 WHERE left(alertname, 100) = left($1, 100) AND alertname = $1 AND status = 'analyzed' AND id <> $2 AND ended_at > $3
 ORDER BY EXISTS (SELECT FROM analysis_run_alerts AS about
                    JOIN analysis_feedback AS said USING (fingerprint, episode)
                   WHERE about.run_id = run.id) DESC, ended_at DESC
 LIMIT 3;
