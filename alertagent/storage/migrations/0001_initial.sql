CREATE TABLE tokens (
    id           text PRIMARY KEY,
    name         text NOT NULL,
    kind         text NOT NULL,
    digest       bytea NOT NULL,
    role         text,
    scopes       text[] NOT NULL DEFAULT '{}',
    cluster_id   text,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX tokens_of_cluster ON tokens (cluster_id) WHERE cluster_id IS NOT NULL;

CREATE TABLE audit_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    action       text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    before       jsonb,
    after        jsonb,
    request_id   text,
    remote       text
);
CREATE INDEX audit_log_of_subject ON audit_log (subject_kind, subject_id, id);

-- Replies kept for Idempotency-Key; `status` is null while the first request still runs.
CREATE TABLE idempotent_replies (
    key        text PRIMARY KEY,
    digest     bytea NOT NULL,
    status     int,
    headers    jsonb,
    body       bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotent_replies_by_age ON idempotent_replies (created_at);

CREATE TABLE clusters (
    id           text PRIMARY KEY,
    name         text NOT NULL,
    labels       jsonb NOT NULL DEFAULT '{}',
    parameters   jsonb NOT NULL DEFAULT '{}',
    config_types text[] NOT NULL,
    query_url    text,
    revision     int NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alert_rules (
    id               text PRIMARY KEY,
    name             text NOT NULL,
    kind             text NOT NULL,
    record           text,
    dialect          text NOT NULL,
    expression       text NOT NULL,
    duration         bigint NOT NULL,
    keep_firing_for  bigint,
    severity         text,
    labels           jsonb NOT NULL,
    annotations      jsonb NOT NULL,
    targets          text[] NOT NULL,
    group_name       text NOT NULL,
    group_interval   bigint,
    enabled          boolean NOT NULL,
    -- The order of rules inside their group: rules are evaluated in sequence, so it never changes.
    position         bigint GENERATED ALWAYS AS IDENTITY,
    revision         int NOT NULL DEFAULT 1,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_by       text NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alert_rules_by_update ON alert_rules (updated_at, id);
COMMENT ON COLUMN alert_rules.duration IS 'milliseconds, as are keep_firing_for and group_interval';

-- No foreign key: the history of a rule outlives it.
CREATE TABLE alert_rule_versions (
    rule_id  text NOT NULL,
    revision int NOT NULL,
    change   text NOT NULL,
    document jsonb,
    author   text NOT NULL,
    comment  text NOT NULL DEFAULT '',
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (rule_id, revision)
);

-- One row: how often anything that a rendered configuration depends on has changed.
CREATE TABLE config_generation (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation bigint NOT NULL
);
INSERT INTO config_generation (generation) VALUES (1);

CREATE TABLE config_snapshots (
    cluster_id  text NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    config_type text NOT NULL,
    revision    bigint NOT NULL,
    generation  bigint NOT NULL,
    hash        text NOT NULL,
    body        bytea NOT NULL,
    rules       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, config_type, revision)
);
CREATE INDEX config_snapshots_by_hash ON config_snapshots (cluster_id, config_type, hash);

CREATE TABLE config_sync_status (
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
    received_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, config_type, instance)
) WITH (fillfactor = 70);

-- One row an alert (fingerprint), holding its current or last episode. Rewritten on every repeat, so nothing that
-- a repeat changes is indexed, and a page keeps room for a second copy of all its rows, since one post may repeat
-- them all: the update stays HOT.
CREATE TABLE alerts (
    fingerprint         text PRIMARY KEY,
    status              text NOT NULL,
    labels              jsonb NOT NULL,
    annotations         jsonb NOT NULL,
    generator_url       text NOT NULL DEFAULT '',
    source              text NOT NULL,
    starts_at           timestamptz NOT NULL,
    -- Firing: when it counts as resolved unless it is repeated. Resolved: when it ended.
    ends_at             timestamptz NOT NULL,
    -- Whether ends_at was told (an end) or only assumed (silence).
    ended_by            text NOT NULL DEFAULT '',
    -- The end of the episode before this one: an episode cannot begin before it.
    not_before          timestamptz NOT NULL DEFAULT '-infinity',
    last_seen_at        timestamptz NOT NULL,
    episode             int NOT NULL DEFAULT 1,
    -- When we learnt that this episode fires; starts_at is what the source says.
    fired_at            timestamptz NOT NULL,
    -- What the last write did: 'firing', 'resolved' or '' for a repeat.
    transition          text NOT NULL DEFAULT '',
    updated_at          timestamptz NOT NULL,
    analysis_status     text NOT NULL DEFAULT 'pending',
    analysis_result     jsonb,
    task_id             text,
    notification_status text NOT NULL DEFAULT 'pending',
    acknowledged_by     text,
    acknowledged_at     timestamptz
) WITH (fillfactor = 45);
CREATE INDEX alerts_firing ON alerts (fingerprint) WHERE status = 'firing';
CREATE INDEX alerts_by_update ON alerts (updated_at, fingerprint);

-- What an incoming alert means for the stored one:
--   begin  a new episode; end  the running one is over; repeat  nothing new;
--   late   old news that must not overturn newer: "firing" after the source itself said "resolved", or the end of
--          an episode before this one.
-- An alert that only fell silent may come back with its old start (Prometheus restores it after an outage), and
-- a source that insists on "firing" for longer than `patience` is believed.
CREATE FUNCTION alert_verdict(
    old_status text, old_starts_at timestamptz, old_ends_at timestamptz, old_ended_by text, old_updated_at timestamptz,
    is_firing boolean, new_starts_at timestamptz, new_ends_at timestamptz, at timestamptz, patience interval
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN (old_status = 'firing') = is_firing THEN 'repeat'
        WHEN old_status = 'firing' THEN CASE WHEN new_ends_at < old_starts_at THEN 'late' ELSE 'end' END
        WHEN new_starts_at > old_starts_at AND new_starts_at >= old_ends_at THEN 'begin'
        WHEN old_ended_by = 'silence' OR at - old_updated_at > patience THEN 'begin'
        ELSE 'late'
    END
$$;

CREATE TABLE alert_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    episode     int NOT NULL,
    kind        text NOT NULL,
    at          timestamptz NOT NULL,
    actor       text NOT NULL DEFAULT '',
    detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX alert_events_of_alert ON alert_events (fingerprint, id);

CREATE TABLE task_queue (
    id            uuid PRIMARY KEY,
    queue_name    text NOT NULL,
    task_type     text NOT NULL,
    payload       jsonb NOT NULL,
    priority      smallint NOT NULL,
    status        text NOT NULL DEFAULT 'pending',
    retry_count   int NOT NULL DEFAULT 0,
    max_retry     int NOT NULL,
    scheduled_at  timestamptz NOT NULL,
    started_at    timestamptz,
    completed_at  timestamptz,
    error_message text,
    trace         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX task_queue_open ON task_queue (queue_name, scheduled_at) WHERE status IN ('pending', 'processing');
CREATE INDEX task_queue_ended ON task_queue (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE notification_plugins (
    name       text PRIMARY KEY,
    enabled    boolean NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The channels: a plugin with its settings. user_id is null where a channel is shared.
CREATE TABLE user_notification_configs (
    id          text PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    plugin_name text NOT NULL,
    config      jsonb NOT NULL,
    enabled     boolean NOT NULL,
    is_default  boolean NOT NULL,
    fallback    text[] NOT NULL DEFAULT '{}',
    user_id     text,
    -- The provider blocks the channel until then.
    paused_until timestamptz,
    revision    int NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- Alerts that are told together, and when they are looked at next.
CREATE TABLE notification_groups (
    key        text PRIMARY KEY,
    receiver   text NOT NULL,
    labels     jsonb NOT NULL,
    flush_at   timestamptz,
    -- Counts up whenever flush_at moves, so that a flush planned before knows that it is out of date.
    generation bigint NOT NULL DEFAULT 0,
    -- Flushes go on at multiples of group_interval from here.
    ticks_from timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE TABLE notification_group_alerts (
    group_key   text NOT NULL REFERENCES notification_groups (key) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    PRIMARY KEY (group_key, fingerprint)
);

-- What a channel was last told about a group, as "fingerprint/episode".
CREATE TABLE notification_log (
    group_key  text NOT NULL REFERENCES notification_groups (key) ON DELETE CASCADE,
    channel_id text NOT NULL REFERENCES user_notification_configs (id) ON DELETE CASCADE,
    firing     text[] NOT NULL,
    resolved   text[] NOT NULL,
    told_at    timestamptz NOT NULL,
    -- The provider refused it: forgotten when the channel is changed, so that it is told then and not hours later.
    failed     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (group_key, channel_id)
) WITH (fillfactor = 70);

CREATE TABLE notification_deliveries (
    -- Also the id of the task that makes the attempts.
    id               text PRIMARY KEY,
    channel_id       text NOT NULL REFERENCES user_notification_configs (id) ON DELETE CASCADE,
    group_key        text NOT NULL,
    receiver         text NOT NULL,
    group_labels     jsonb NOT NULL,
    -- [{fingerprint, episode, status, starts_at, ends_at}]: what is to be told, fixed when it was planned.
    alerts           jsonb NOT NULL,
    status           text NOT NULL DEFAULT 'pending',
    attempts         int NOT NULL DEFAULT 0,
    -- A message too large for its channel goes in parts; those sent are not sent again.
    parts_sent       int NOT NULL DEFAULT 0,
    -- The next part may have arrived already: its answer was lost once.
    is_ambiguous     boolean NOT NULL DEFAULT false,
    provider_code    text NOT NULL DEFAULT '',
    provider_message text NOT NULL DEFAULT '',
    message_id       text,
    latency_ms       int,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- One at a time: the next message about a group is planned when this one has ended.
CREATE UNIQUE INDEX notification_deliveries_open ON notification_deliveries (group_key, channel_id)
    WHERE status = 'pending';
CREATE INDEX notification_deliveries_of_channel ON notification_deliveries (channel_id, created_at, id);
