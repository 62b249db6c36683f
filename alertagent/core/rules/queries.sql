-- name: add
INSERT INTO alert_rules (
    id, name, kind, record, dialect, expression, duration, keep_firing_for, severity, labels, annotations,
    targets, group_name, group_interval, enabled, created_by, updated_by
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
RETURNING *;

-- name: find
SELECT * FROM alert_rules WHERE id = $1;

-- name: find_for_change
SELECT * FROM alert_rules WHERE id = $1 FOR UPDATE;

-- name: replace
-- Touches no row when someone else was faster.
UPDATE alert_rules
   SET name = $2, kind = $3, record = $4, dialect = $5, expression = $6, duration = $7, keep_firing_for = $8,
       severity = $9, labels = $10, annotations = $11, targets = $12, group_name = $13, group_interval = $14,
       enabled = $15, updated_by = $16, updated_at = now(), revision = revision + 1
 WHERE id = $1 AND revision = $17
RETURNING *;

-- name: remove
DELETE FROM alert_rules WHERE id = $1;

-- name: add_version
INSERT INTO alert_rule_versions (rule_id, revision, change, document, author, comment)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: enabled
SELECT * FROM alert_rules WHERE enabled ORDER BY position;

-- name: recently_changed
-- What changed shortly before an alert began is the first thing to look at.
SELECT version.rule_id, version.revision, version.change, version.author, version.comment, version.at,
       version.document ->> 'name' AS name
  FROM alert_rule_versions AS version
 WHERE version.at BETWEEN $1 AND $2 AND version.document ->> 'name' = $3
 ORDER BY version.at DESC
 LIMIT 10;

-- name: listing
SELECT * FROM alert_rules
