-- What fires, by itself: lists, counts and facets look at these rows, which lie close together and are written only
-- when an alert begins, ends, or is acknowledged, while the rows of `alerts` lie among all that ever fired and are
-- rewritten with every repetition. Kept by triggers, so that the release before keeps it, too.
CREATE TABLE firing_alerts (
    fingerprint     text PRIMARY KEY,
    labels          jsonb NOT NULL,
    starts_at       timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    acknowledged_by text,
    assigned_to     text,
    -- Labels and annotations in lower case, as they were when it last changed: to look for a text in.
    words           text NOT NULL
);
CREATE INDEX firing_alerts_by_update ON firing_alerts (updated_at, fingerprint);
CREATE INDEX firing_alerts_by_start ON firing_alerts (starts_at, fingerprint);

CREATE FUNCTION keep_firing_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.status <> 'firing' THEN
        DELETE FROM firing_alerts WHERE fingerprint = OLD.fingerprint;
    ELSE
        INSERT INTO firing_alerts (fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to, words)
        VALUES (NEW.fingerprint, NEW.labels, NEW.starts_at, NEW.updated_at, NEW.acknowledged_by, NEW.assigned_to,
                lower(NEW.labels::text || NEW.annotations::text))
        ON CONFLICT (fingerprint) DO UPDATE
           SET starts_at = excluded.starts_at, updated_at = excluded.updated_at,
               acknowledged_by = excluded.acknowledged_by, assigned_to = excluded.assigned_to, words = excluded.words;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION forget_firing_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM firing_alerts;
    RETURN NULL;
END
$$;

-- The conditions spare a repetition the call.
CREATE TRIGGER firing_alert_begins AFTER INSERT ON alerts
    FOR EACH ROW WHEN (NEW.status = 'firing') EXECUTE FUNCTION keep_firing_alert();
CREATE TRIGGER firing_alert_changes AFTER UPDATE OF status, starts_at, acknowledged_by, assigned_to ON alerts
    FOR EACH ROW WHEN (
        OLD.status <> NEW.status
        OR NEW.status = 'firing' AND (OLD.starts_at, OLD.acknowledged_by, OLD.assigned_to)
                  IS DISTINCT FROM (NEW.starts_at, NEW.acknowledged_by, NEW.assigned_to)
    ) EXECUTE FUNCTION keep_firing_alert();
CREATE TRIGGER firing_alert_goes AFTER DELETE ON alerts
    FOR EACH ROW WHEN (OLD.status = 'firing') EXECUTE FUNCTION keep_firing_alert();
CREATE TRIGGER firing_alerts_go AFTER TRUNCATE ON alerts
    FOR EACH STATEMENT EXECUTE FUNCTION forget_firing_alerts();

INSERT INTO firing_alerts (fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to, words)
SELECT fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to,
       lower(labels::text || annotations::text)
  FROM alerts WHERE status = 'firing';
