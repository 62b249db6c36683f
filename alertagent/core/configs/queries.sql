-- name: latest
SELECT * FROM config_snapshots
 WHERE cluster_id = $1 AND config_type = $2
 ORDER BY revision DESC
 LIMIT 1;

-- name: lock
-- One renderer at a time for each configuration.
SELECT pg_advisory_xact_lock(hashtextextended('config ' || $1 || ' ' || $2, 0));

-- name: add_snapshot
INSERT INTO config_snapshots (
    cluster_id, config_type, revision, generation, hash, body, rules, bundle, bundle_hash, needs_bundle
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING *;

-- name: confirm_snapshot
-- The bytes are the same; what they stand for may have moved on.
UPDATE config_snapshots SET generation = $4, rules = $5
 WHERE cluster_id = $1 AND config_type = $2 AND revision = $3
RETURNING *;

-- name: forget_snapshots
DELETE FROM config_snapshots WHERE cluster_id = $1 AND config_type = $2 AND revision <= $3;

-- name: announce
SELECT pg_notify('alertagent_config', $1 || '/' || $2);

-- name: report
-- A success that names no hash is about what was wanted when it came.
INSERT INTO config_sync_status (
    cluster_id, config_type, instance, status, sync_time, error_message, error_class, phase, config_hash,
    applied_hash, rejected_hash, checker, target_version, duration_ms
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
       CASE WHEN $4 = 'success' THEN coalesce($10, $9, (
           SELECT CASE WHEN needs_bundle THEN bundle_hash ELSE hash END FROM config_snapshots
            WHERE cluster_id = $1 AND config_type = $2 ORDER BY revision DESC LIMIT 1
       )) ELSE $10 END,
       $11, $12, $13, $14
ON CONFLICT (cluster_id, config_type, instance) DO UPDATE
   SET status = excluded.status, sync_time = excluded.sync_time, error_message = excluded.error_message,
       error_class = excluded.error_class, phase = excluded.phase, config_hash = excluded.config_hash,
       applied_hash = excluded.applied_hash, rejected_hash = excluded.rejected_hash, checker = excluded.checker,
       target_version = excluded.target_version, duration_ms = excluded.duration_ms, received_at = now();

-- name: statuses
-- A sidecar that ever spoke of a bundle's hash is given the bundle's hash to compare with.
SELECT status.*, latest.revision AS desired_revision,
       CASE WHEN spoken.of_bundles THEN latest.bundle_hash ELSE latest.hash END AS desired_hash
  FROM config_sync_status AS status
  LEFT JOIN LATERAL (
      SELECT hash, bundle_hash, needs_bundle, revision FROM config_snapshots AS snapshot
       WHERE snapshot.cluster_id = status.cluster_id AND snapshot.config_type = status.config_type
       ORDER BY revision DESC LIMIT 1
  ) AS latest ON true
 CROSS JOIN LATERAL (
      SELECT coalesce(latest.needs_bundle, false) OR EXISTS (
          SELECT FROM config_snapshots AS snapshot
           WHERE snapshot.cluster_id = status.cluster_id AND snapshot.config_type = status.config_type
             AND snapshot.bundle_hash IN (status.config_hash, status.applied_hash, status.rejected_hash)
      ) AS of_bundles
  ) AS spoken
 WHERE $1::text[] IS NULL OR status.cluster_id = ANY ($1)
 ORDER BY status.cluster_id, status.config_type, status.instance;

-- name: revisions_applied
-- Which revision of each of these rules is in what each sidecar says its target runs.
SELECT status.cluster_id, status.config_type, status.instance, rule.id AS rule_id,
       (snapshot.rules ->> rule.id)::int AS revision
  FROM config_sync_status AS status
  JOIN LATERAL (
      SELECT rules FROM config_snapshots AS snapshot
       WHERE snapshot.cluster_id = status.cluster_id AND snapshot.config_type = status.config_type
         AND status.applied_hash IN (snapshot.hash, snapshot.bundle_hash)
       ORDER BY revision DESC LIMIT 1
  ) AS snapshot ON true
 CROSS JOIN unnest($2::text[]) AS rule (id)
 WHERE status.cluster_id = ANY ($1) AND snapshot.rules ? rule.id;
