-- name: find
SELECT * FROM alertmanager_configs WHERE cluster_id = $1;

-- name: lock_cluster
-- Changes of one cluster's configuration come one after the other, the first one included.
SELECT id FROM clusters WHERE id = $1 FOR NO KEY UPDATE;

-- name: put
INSERT INTO alertmanager_configs (cluster_id, revision, config, templates, mask_key, updated_by)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (cluster_id) DO UPDATE
   SET revision = excluded.revision, config = excluded.config, templates = excluded.templates,
       updated_by = excluded.updated_by, updated_at = now()
RETURNING *;

-- name: add_version
INSERT INTO alertmanager_config_versions (cluster_id, revision, change, config, templates, author, comment)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: versions
SELECT revision, change, author, comment, at FROM alertmanager_config_versions
 WHERE cluster_id = $1
 ORDER BY revision DESC
 LIMIT $2;

-- name: version
SELECT * FROM alertmanager_config_versions WHERE cluster_id = $1 AND revision = $2;

-- name: target_versions
-- The releases that the sidecars of this cluster's Alertmanagers have seen.
SELECT DISTINCT target_version FROM config_sync_status
 WHERE cluster_id = $1 AND config_type = 'alertmanager' AND target_version IS NOT NULL;
