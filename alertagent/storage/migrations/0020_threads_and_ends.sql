-- The message with which a group's thread in a channel begins, in the words of the channel's plugin; null while nothing
-- of the group fires there.
ALTER TABLE notification_log ADD COLUMN thread text;

-- The thread that a delivery went into or began. An end that is planned knows it from the beginning.
ALTER TABLE notification_deliveries ADD COLUMN thread text;

-- Alerts of which a channel was told that did not hear of them by its routes. No group looks whether it must hear of
-- their end, so each waits here for it, with the delivery that told of it.
CREATE TABLE awaited_ends (
    delivery_id text NOT NULL REFERENCES notification_deliveries (id) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    PRIMARY KEY (delivery_id, fingerprint)
);
CREATE INDEX awaited_ends_of_alert ON awaited_ends (fingerprint);
