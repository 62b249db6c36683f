-- name: add
-- Adds nothing where a rule of this id has come back meanwhile.
INSERT INTO alert_rules (
    id, name, kind, record, dialect, expression, duration, duration_parameter, keep_firing_for, severity, labels,
    annotations, targets, group_name, group_interval, group_options, parameters, debug, update_entries_limit, notes,
    enabled, position, revision, created_by, created_at, updated_by, updated_at, source
)
SELECT id, name, kind, record, dialect, expression, duration, duration_parameter, keep_firing_for, severity, labels,
       annotations, targets, group_name, group_interval, group_options, parameters, debug, update_entries_limit, notes,
       enabled, position, revision, created_by, created_at, updated_by, updated_at, source
  FROM jsonb_populate_recordset(NULL::alert_rules, $1)
    ON CONFLICT (id) DO NOTHING;

-- name: find
SELECT * FROM alert_rules WHERE id = $1;

-- name: find_for_change
-- In one order, so that two batches never wait for each other in a circle.
SELECT * FROM alert_rules WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE;

-- name: find_all
SELECT * FROM alert_rules WHERE id = ANY ($1::text[]);

-- name: positions
-- Places behind all others, for new rules.
SELECT nextval(pg_get_serial_sequence('alert_rules', 'position')) FROM generate_series(1, $1);

-- name: replace
-- Touches no row of which somebody else has made another version.
UPDATE alert_rules AS rule
   SET name = new.name, kind = new.kind, record = new.record, dialect = new.dialect, expression = new.expression,
       duration = new.duration, duration_parameter = new.duration_parameter, keep_firing_for = new.keep_firing_for,
       severity = new.severity, labels = new.labels, annotations = new.annotations, targets = new.targets,
       group_name = new.group_name, group_interval = new.group_interval, group_options = new.group_options,
       parameters = new.parameters, debug = new.debug, update_entries_limit = new.update_entries_limit,
       notes = new.notes, enabled = new.enabled, position = new.position, revision = new.revision,
       updated_by = new.updated_by, updated_at = new.updated_at, source = new.source
  FROM jsonb_populate_recordset(NULL::alert_rules, $1) AS new
 WHERE rule.id = new.id AND rule.revision = new.revision - 1;

-- name: move
-- Another place or owner, which is no new version.
UPDATE alert_rules AS rule SET position = new.position, source = new.source
  FROM jsonb_populate_recordset(NULL::alert_rules, $1) AS new
 WHERE rule.id = new.id AND rule.revision = new.revision;

-- name: remove
DELETE FROM alert_rules WHERE id = ANY ($1::text[]);

-- name: add_versions
INSERT INTO alert_rule_versions (rule_id, revision, change, document, author, comment, at, position)
SELECT rule_id, revision, change, document, author, comment, at, position
  FROM jsonb_populate_recordset(NULL::alert_rule_versions, $1);

-- name: versions
-- Newest first.
SELECT * FROM alert_rule_versions
 WHERE rule_id = $1 AND ($2::int IS NULL OR revision < $2)
 ORDER BY revision DESC LIMIT $3;

-- name: version
SELECT * FROM alert_rule_versions WHERE rule_id = $1 AND revision = $2;

-- name: lock_imports
-- One at a time: two imports of the same file would each find nothing and make every rule twice.
SELECT pg_advisory_xact_lock(hashtextextended('imports of rules', 0));

-- name: importable
SELECT * FROM alert_rules WHERE group_name = ANY ($1::text[]) OR (source = $2 AND source <> '');

-- name: importable_for_change
SELECT * FROM alert_rules WHERE group_name = ANY ($1::text[]) OR (source = $2 AND source <> '')
 ORDER BY id FOR UPDATE;

-- name: ends
-- The newest and the first version; of a deleted rule these are two.
SELECT * FROM alert_rule_versions AS version
 WHERE rule_id = $1
   AND revision IN (SELECT unnest(ARRAY[min(revision), max(revision)]) FROM alert_rule_versions WHERE rule_id = $1)
 ORDER BY revision DESC;

-- name: targets
-- What the rules are for, those included that are not enabled.
SELECT DISTINCT unnest(targets) AS target FROM alert_rules;

-- name: enabled
SELECT * FROM alert_rules WHERE enabled ORDER BY position;

-- name: enabled_in
SELECT * FROM alert_rules WHERE enabled AND group_name = ANY ($1::text[]) ORDER BY position;

-- name: named
SELECT * FROM alert_rules WHERE name = $1 ORDER BY position LIMIT 5;

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
