-- What the owner of a channel sets: from which severity on it is told, when it is quiet, and which channels send for it.
ALTER TABLE user_notification_configs
    ADD COLUMN min_severity text,
    ADD COLUMN quiet_hours jsonb,
    ADD COLUMN pool text[] NOT NULL DEFAULT '{}';
-- By the id of a channel, what of its settings holds the alert back from it.
ALTER TABLE notification_group_alerts ADD COLUMN held_for jsonb;
-- The channel that sent it in place of its own.
ALTER TABLE notification_deliveries ADD COLUMN sent_by text;
