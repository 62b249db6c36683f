-- The task of the look that planned a delivery and makes its first attempt; null: the delivery has a task of its own.
ALTER TABLE notification_deliveries ADD COLUMN begun_by uuid;
