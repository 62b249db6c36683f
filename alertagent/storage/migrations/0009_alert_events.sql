-- The timeline by weeks, so that old weeks go at once and the new one stays small. What was written before becomes the
-- first part, with its rows where they are. The release before goes on inserting by name.
LOCK TABLE alert_events IN ACCESS EXCLUSIVE MODE;
ALTER TABLE alert_events RENAME TO alert_events_before;
ALTER INDEX alert_events_of_alert RENAME TO alert_events_before_of_alert;
ALTER TABLE alert_events_before ALTER COLUMN id DROP IDENTITY;

-- An identity of its own would need PostgreSQL 17.
CREATE SEQUENCE alert_events_ids AS bigint;
SELECT setval('alert_events_ids', coalesce((SELECT max(id) FROM alert_events_before), 0) + 1, false);

CREATE TABLE alert_events (
    id          bigint NOT NULL DEFAULT nextval('alert_events_ids'),
    fingerprint text NOT NULL,
    episode     int NOT NULL,
    kind        text NOT NULL,
    at          timestamptz NOT NULL,
    actor       text NOT NULL DEFAULT '',
    detail      jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
ALTER SEQUENCE alert_events_ids OWNED BY alert_events.id;
CREATE INDEX alert_events_of_alert ON alert_events (fingerprint, id);
ALTER TABLE alert_events_before ALTER COLUMN id SET DEFAULT nextval('alert_events_ids');

-- Up to the end of the week in which the newest row lies.
DO $$
DECLARE
    beyond timestamptz := date_trunc('week', greatest(now(), (SELECT max(at) FROM alert_events_before)), 'UTC')
                          + interval '7 days';
BEGIN
    EXECUTE format('ALTER TABLE alert_events ATTACH PARTITION alert_events_before FOR VALUES FROM (MINVALUE) TO (%L)',
                   beyond);
END
$$;

-- Where an event goes whose week nobody has made yet.
CREATE TABLE alert_events_other PARTITION OF alert_events DEFAULT;
