-- A delivery that stands in for another channel's: for which, and which channels are left if this one fails, too.
ALTER TABLE notification_deliveries
    ADD COLUMN stands_in_for text,
    ADD COLUMN fallback text[] NOT NULL DEFAULT '{}';
