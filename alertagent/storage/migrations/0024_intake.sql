-- A post of many new alerts costs less: the rows of those that fire are made in one go for each statement and no more
-- by a call for each row, which is still how an alert that exists begins or ends. What an upsert only updates is not
-- among `fresh`.
CREATE FUNCTION keep_new_firing_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO firing_alerts (fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to, words)
    SELECT fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to,
           lower(labels::text || annotations::text)
      FROM fresh WHERE status = 'firing'
    ON CONFLICT (fingerprint) DO UPDATE
       SET starts_at = excluded.starts_at, updated_at = excluded.updated_at,
           acknowledged_by = excluded.acknowledged_by, assigned_to = excluded.assigned_to, words = excluded.words;
    RETURN NULL;
END
$$;
DROP TRIGGER firing_alert_begins ON alerts;
CREATE TRIGGER firing_alerts_begin AFTER INSERT ON alerts REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION keep_new_firing_alerts();

-- Nobody looks for an event by its number alone; the other parts of the timeline have no such index. An installation
-- that is old enough has dropped this part.
ALTER TABLE IF EXISTS alert_events_before DROP CONSTRAINT IF EXISTS alert_events_pkey;
