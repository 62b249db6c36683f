-- Who assigned the alerts that this tells of to the owner of its channel; null for whatever else is told.
ALTER TABLE notification_deliveries ADD COLUMN assigned_by text;
