-- What fires on one instance, the narrowest place that an alert has: asked for by every analysis. A label may be longer
-- than an entry of an index can be, so that only its beginning stands there. The same for the names of analysed alerts.
CREATE INDEX firing_alerts_by_instance ON firing_alerts (left(labels ->> 'instance', 100), starts_at)
    WHERE labels ->> 'instance' IS NOT NULL;
DROP INDEX analysis_runs_of_name;
CREATE INDEX analysis_runs_of_name ON analysis_runs (left(alertname, 100), ended_at) WHERE status = 'analyzed';
