-- A delivery that stands in for another channel's: for which, and which channels are left if this one fails, too.
ALTER TABLE notification_deliveries
    ADD COLUMN stands_in_for text,
    ADD COLUMN fallback text[] NOT NULL DEFAULT '{}',
    -- When it should have been made; its group may have been looked at late.
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT now();
DROP INDEX notification_deliveries_pending;
CREATE INDEX notification_deliveries_pending ON notification_deliveries (channel_id, due_at, id)
    WHERE status = 'pending';
