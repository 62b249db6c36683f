-- Alerts that are expected to keep coming.
CREATE TABLE heartbeats (
    id           text PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    matchers     text[] NOT NULL,
    interval     interval NOT NULL,
    labels       jsonb NOT NULL,
    -- The last arrival that was noticed; null: none yet.
    last_seen_at timestamptz,
    revision     int NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- One row: who hears of alerts that nobody acknowledges.
CREATE TABLE escalation_policy (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    rules      jsonb NOT NULL,
    revision   int NOT NULL DEFAULT 1,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Whom an episode was escalated to: once, however often its task runs.
CREATE TABLE escalations (
    fingerprint text NOT NULL,
    episode     int NOT NULL,
    channel_id  text NOT NULL REFERENCES user_notification_configs (id) ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    PRIMARY KEY (fingerprint, episode, channel_id)
);
CREATE INDEX escalations_by_age ON escalations (at);
