-- What fires on one instance, the narrowest place that an alert has: asked for by every analysis.
CREATE INDEX firing_alerts_by_instance ON firing_alerts ((labels ->> 'instance'), starts_at)
    WHERE labels ->> 'instance' IS NOT NULL;
