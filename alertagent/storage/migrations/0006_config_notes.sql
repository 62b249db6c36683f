-- What was left out of a configuration, what sidecars said before, and what their tools refused.

ALTER TABLE config_snapshots
    ADD COLUMN notes jsonb NOT NULL DEFAULT '{}',
    -- A digest of rules and notes, which are large and mostly stay the same.
    ADD COLUMN about text NOT NULL DEFAULT '';
COMMENT ON COLUMN config_snapshots.notes IS '{rule: {revision, notes: [{kind, field, message}]}}';

ALTER TABLE config_sync_status
    -- What the target's version understands, as the server that took the report sees it.
    ADD COLUMN gate       text,
    ADD COLUMN drifted_at timestamptz;

-- A row for each change of outcome, not for each report.
CREATE TABLE config_sync_history (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id     text NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    config_type    text NOT NULL,
    instance       text NOT NULL,
    status         text NOT NULL,
    sync_time      timestamptz NOT NULL,
    error_message  text,
    error_class    text,
    phase          text,
    config_hash    text,
    applied_hash   text,
    rejected_hash  text,
    checker        text,
    target_version text,
    duration_ms    int,
    at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX config_sync_history_by_age ON config_sync_history (at);

-- Rules that a checker named when it refused a file; each counts while the text of the rule is the same.
CREATE TABLE config_refusals (
    cluster_id  text NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    config_type text NOT NULL,
    rule_id     text NOT NULL,
    digest      text NOT NULL,
    message     text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, config_type, rule_id)
);

-- Triggers, not the writers, tell what processes keep in memory: a release that does not know them writes as well.
CREATE FUNCTION tell_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('alertagent_generation', NEW.generation::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER config_generation_told AFTER UPDATE ON config_generation
    FOR EACH ROW EXECUTE FUNCTION tell_generation();

CREATE FUNCTION tell_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('alertagent_token', OLD.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER tokens_told AFTER DELETE OR UPDATE OF revoked_at, expires_at, role, scopes, cluster_id ON tokens
    FOR EACH ROW EXECUTE FUNCTION tell_token();
