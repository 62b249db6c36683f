-- Which route a group belongs to, and the revision of the routing document by which its alerts are in it. The release
-- before makes groups of the route that is in force without a document.
ALTER TABLE notification_groups ADD COLUMN route text NOT NULL DEFAULT 'default';
ALTER TABLE notification_groups ADD COLUMN revision int NOT NULL DEFAULT 0;

-- What holds an alert back from being told in this group: {"stage", "by"}; null: nothing.
ALTER TABLE notification_group_alerts ADD COLUMN held jsonb;

-- Firing alerts that fit the source of an inhibition, to be found by the values of its `equal` labels. `rule` and
-- `agreed` are digests. A row outlives its alert for a moment: who asks looks whether that still fires.
CREATE TABLE inhibition_sources (
    rule        text NOT NULL,
    agreed      text NOT NULL,
    fingerprint text NOT NULL,
    -- Whether the source fits the target of the same inhibition, too.
    is_target   boolean NOT NULL,
    PRIMARY KEY (rule, agreed, fingerprint)
);
CREATE INDEX inhibition_sources_of_alert ON inhibition_sources (fingerprint);
