-- name: latest
-- Without what is large.
SELECT cluster_id, config_type, revision, generation, hash, is_bundle, about FROM config_snapshots
 WHERE cluster_id = $1 AND config_type = $2
 ORDER BY revision DESC
 LIMIT 1;

-- name: body
SELECT body FROM config_snapshots WHERE cluster_id = $1 AND config_type = $2 AND revision = $3;

-- name: versions
SELECT target_version FROM config_sync_status WHERE cluster_id = $1 AND config_type = $2;

-- name: all_versions
SELECT cluster_id, config_type, target_version FROM config_sync_status;

-- name: refusals
SELECT rule_id, digest, message FROM config_refusals WHERE cluster_id = $1 AND config_type = $2;

-- name: refuse
INSERT INTO config_refusals (cluster_id, config_type, rule_id, digest, message)
SELECT $1, $2, rule.id, rule.digest, rule.message
  FROM unnest($3::text[], $4::text[], $5::text[]) AS rule (id, digest, message)
ON CONFLICT (cluster_id, config_type, rule_id) DO UPDATE
   SET digest = excluded.digest, message = excluded.message, at = now();

-- name: lock
-- One renderer at a time for each configuration.
SELECT pg_advisory_xact_lock(hashtextextended('config ' || $1 || ' ' || $2, 0));

-- name: add_snapshot
INSERT INTO config_snapshots (
    cluster_id, config_type, revision, generation, hash, body, rules, notes, about, is_bundle
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING cluster_id, config_type, revision, generation, hash, is_bundle;

-- name: confirm_snapshot
-- The bytes are the same; what they stand for may have moved on.
UPDATE config_snapshots SET generation = $4, rules = $5, notes = $6, about = $7
 WHERE cluster_id = $1 AND config_type = $2 AND revision = $3
RETURNING cluster_id, config_type, revision, generation, hash, is_bundle;

-- name: count_snapshot
-- Nothing at all has changed here.
UPDATE config_snapshots SET generation = $4
 WHERE cluster_id = $1 AND config_type = $2 AND revision = $3
RETURNING cluster_id, config_type, revision, generation, hash, is_bundle;

-- name: forget_snapshots
DELETE FROM config_snapshots WHERE cluster_id = $1 AND config_type = $2 AND revision <= $3;

-- name: announce
SELECT pg_notify($1, $2);

-- name: report
-- A success that names no hash is about what was wanted when it came; a report that names no version leaves the one
-- that is known. A version that understands something else counts as a change, and lifts what tools refused.
WITH before AS (
    SELECT * FROM config_sync_status WHERE cluster_id = $1 AND config_type = $2 AND instance = $3
), written AS (
    INSERT INTO config_sync_status (
        cluster_id, config_type, instance, status, sync_time, error_message, error_class, phase, config_hash,
        applied_hash, rejected_hash, checker, target_version, duration_ms, gate, drifted_at
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
           CASE WHEN $4 = 'success' THEN coalesce($10, $9, (
               SELECT hash FROM config_snapshots
                WHERE cluster_id = $1 AND config_type = $2 ORDER BY revision DESC LIMIT 1
           )) ELSE $10 END,
           $11, $12, $13, $14, $15, CASE WHEN $7 = 'drift' THEN now() END
    ON CONFLICT (cluster_id, config_type, instance) DO UPDATE
       SET status = excluded.status, sync_time = excluded.sync_time, error_message = excluded.error_message,
           error_class = excluded.error_class, phase = excluded.phase, config_hash = excluded.config_hash,
           applied_hash = excluded.applied_hash, rejected_hash = excluded.rejected_hash, checker = excluded.checker,
           target_version = coalesce(excluded.target_version, config_sync_status.target_version),
           gate = CASE WHEN excluded.target_version IS NULL THEN coalesce(config_sync_status.gate, excluded.gate)
                       ELSE excluded.gate END,
           drifted_at = coalesce(excluded.drifted_at, config_sync_status.drifted_at),
           duration_ms = excluded.duration_ms, received_at = now()
    RETURNING *
), noted AS (
    INSERT INTO config_sync_history (
        cluster_id, config_type, instance, status, sync_time, error_message, error_class, phase, config_hash,
        applied_hash, rejected_hash, checker, target_version, duration_ms
    )
    SELECT written.cluster_id, written.config_type, written.instance, written.status, written.sync_time,
           written.error_message, written.error_class, written.phase, written.config_hash, written.applied_hash,
           written.rejected_hash, written.checker, written.target_version, written.duration_ms
      FROM written LEFT JOIN before ON true
     WHERE before.instance IS NULL
        OR (before.status, before.error_class, before.phase, before.applied_hash, before.rejected_hash,
            before.target_version)
           IS DISTINCT FROM (written.status, written.error_class, written.phase, written.applied_hash,
                             written.rejected_hash, written.target_version)
    RETURNING id
), lifted AS (
    DELETE FROM config_refusals
     WHERE cluster_id = $1 AND config_type = $2
       AND EXISTS (SELECT FROM before CROSS JOIN written
                    WHERE before.target_version IS NOT NULL AND before.target_version <> written.target_version)
    RETURNING rule_id
), counted AS (
    UPDATE config_generation SET generation = generation + 1
     WHERE EXISTS (SELECT FROM lifted)
        OR EXISTS (SELECT FROM written LEFT JOIN before ON true WHERE before.gate IS DISTINCT FROM written.gate)
    RETURNING generation
)
SELECT EXISTS (SELECT FROM noted) AS is_news, (SELECT generation FROM counted) AS generation;

-- name: statuses
SELECT status.*, latest.hash AS desired_hash, latest.revision AS desired_revision, latest.created_at AS desired_since,
       coalesce(latest.held_back, 0) AS held_back, coalesce(latest.shortened, 0) AS shortened
  FROM config_sync_status AS status
  LEFT JOIN LATERAL (
      SELECT hash, revision, created_at, held_back, notes.shortened
        FROM (
            SELECT hash, revision, created_at, notes FROM config_snapshots AS snapshot
             WHERE snapshot.cluster_id = status.cluster_id AND snapshot.config_type = status.config_type
             ORDER BY revision DESC LIMIT 1
        ) AS newest
       CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE value @> '{"notes": [{"kind": "quarantined"}]}') AS held_back,
                   count(*) FILTER (WHERE NOT value @> '{"notes": [{"kind": "quarantined"}]}') AS shortened
              FROM jsonb_each(newest.notes)
       ) AS notes
  ) AS latest ON true
 WHERE $1::text[] IS NULL OR status.cluster_id = ANY ($1)
 ORDER BY status.cluster_id, status.config_type, status.instance;

-- name: revisions_applied
-- Which revision of each of these rules is in what each sidecar says its target runs. `#> '{}'` unpacks a snapshot's
-- rules once; otherwise they would be unpacked again for each rule that is looked up.
WITH applied AS MATERIALIZED (
    SELECT place.cluster_id, place.config_type, place.applied_hash, snapshot.rules #> '{}' AS rules
      FROM (
          SELECT DISTINCT cluster_id, config_type, applied_hash FROM config_sync_status WHERE cluster_id = ANY ($1)
      ) AS place
     CROSS JOIN LATERAL (
          SELECT rules FROM config_snapshots AS snapshot
           WHERE snapshot.cluster_id = place.cluster_id AND snapshot.config_type = place.config_type
             AND snapshot.hash = place.applied_hash
           ORDER BY revision DESC LIMIT 1
     ) AS snapshot
), found AS MATERIALIZED (
    SELECT applied.cluster_id, applied.config_type, applied.applied_hash, rule.id AS rule_id,
           (applied.rules ->> rule.id)::int AS revision
      FROM applied CROSS JOIN unnest($2::text[]) AS rule (id)
)
SELECT status.cluster_id, status.config_type, status.instance, found.rule_id, found.revision
  FROM config_sync_status AS status
  JOIN found USING (cluster_id, config_type, applied_hash)
 WHERE found.revision IS NOT NULL;

-- name: notes
-- What the newest configurations leave out of these rules, and at which of their revisions.
SELECT newest.cluster_id, newest.config_type, rule.id AS rule_id, newest.notes -> rule.id AS noted
  FROM clusters
 CROSS JOIN LATERAL unnest(clusters.config_types) AS type (name)
 CROSS JOIN LATERAL (
      SELECT cluster_id, config_type, notes FROM config_snapshots AS snapshot
       WHERE snapshot.cluster_id = clusters.id AND snapshot.config_type = type.name
       ORDER BY revision DESC LIMIT 1
 ) AS newest
 CROSS JOIN unnest($1::text[]) AS rule (id)
 WHERE newest.notes ? rule.id;

-- name: history
SELECT * FROM config_sync_history

-- name: forget_history
DELETE FROM config_sync_history WHERE at < now() - $1::interval;

-- name: forget_silent
-- Instances that are gone, such as replaced pods: never the last one of its kind, whose silence somebody must see.
WITH gone AS (
    DELETE FROM config_sync_status AS old
     WHERE received_at < now() - $1::interval
       AND EXISTS (SELECT FROM config_sync_status AS other
                    WHERE other.cluster_id = old.cluster_id AND other.config_type = old.config_type
                      AND other.received_at >= now() - $1::interval)
    RETURNING gate
)
UPDATE config_generation SET generation = generation + 1 WHERE EXISTS (SELECT FROM gone);
