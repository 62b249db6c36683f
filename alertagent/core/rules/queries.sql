-- name: add
INSERT INTO alert_rules (
    id, name, kind, record, dialect, expression, duration, duration_parameter, keep_firing_for, severity, labels,
    annotations, targets, group_name, group_interval, group_options, parameters, debug, update_entries_limit, notes,
    enabled, created_by, updated_by
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22)
RETURNING *;

-- name: find
SELECT * FROM alert_rules WHERE id = $1;

-- name: find_for_change
SELECT * FROM alert_rules WHERE id = $1 FOR UPDATE;

-- name: replace
-- Touches no row when someone else was faster.
UPDATE alert_rules
   SET name = $2, kind = $3, record = $4, dialect = $5, expression = $6, duration = $7, duration_parameter = $8,
       keep_firing_for = $9, severity = $10, labels = $11, annotations = $12, targets = $13, group_name = $14,
       group_interval = $15, group_options = $16, parameters = $17, debug = $18, update_entries_limit = $19,
       notes = $20, enabled = $21, updated_by = $22, updated_at = now(), revision = revision + 1
 WHERE id = $1 AND revision = $23
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
