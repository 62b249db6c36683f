-- What could not be told in time is told together: a digest is a delivery of its own, and its members end with it.
ALTER TABLE notification_deliveries
    -- The digest that tells what this delivery was to tell.
    ADD COLUMN digest_id text,
    -- When an attempt by itself began that no digest may overlap with; it has ended if updated_at is not before.
    ADD COLUMN alone_since timestamptz;
CREATE INDEX notification_deliveries_pending ON notification_deliveries (channel_id, created_at, id)
    WHERE status = 'pending';
CREATE INDEX notification_deliveries_of_digest ON notification_deliveries (digest_id) WHERE digest_id IS NOT NULL;
