-- Who explains alerts: a plugin with its settings. Where none is the default, the built-in heuristic does.
CREATE TABLE analyzers (
    id         text PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    provider   text NOT NULL,
    config     jsonb NOT NULL,
    enabled    boolean NOT NULL,
    is_default boolean NOT NULL,
    revision   int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX analyzers_default ON analyzers (is_default) WHERE is_default;

-- One row: which alerts are analysed, how often, and how long a notification may wait for it.
CREATE TABLE analysis_policy (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    filter       text[] NOT NULL,
    hold         interval NOT NULL,
    max_per_hour int NOT NULL,
    revision     int NOT NULL DEFAULT 1,
    updated_by   text NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- One question to an analyzer about the alerts of a group. The budget is counted here, so that no restart forgets it.
CREATE TABLE analysis_runs (
    -- Also the id of the task that asks.
    id              text PRIMARY KEY,
    -- Empty where a person asked about one alert.
    group_key       text NOT NULL,
    alertname       text NOT NULL,
    -- Null: the built-in heuristic.
    analyzer_id     text,
    is_free         boolean NOT NULL,
    -- open, parked (its answer will come by callback), analyzed, failed, dropped
    status          text NOT NULL DEFAULT 'open',
    -- What the plugin must know again after a restart, such as the provider's id of the run.
    notes           jsonb NOT NULL DEFAULT '{}',
    callback_digest bytea,
    -- The callback was taken; it is answered the same once more.
    called_back     boolean NOT NULL DEFAULT false,
    deadline        timestamptz NOT NULL,
    result          jsonb,
    created_at      timestamptz NOT NULL,
    ended_at        timestamptz
);
CREATE INDEX analysis_runs_open ON analysis_runs (group_key) WHERE ended_at IS NULL;
CREATE INDEX analysis_runs_by_age ON analysis_runs (created_at);
CREATE INDEX analysis_runs_of_name ON analysis_runs (alertname, ended_at) WHERE status = 'analyzed';

-- The episodes that a run is about; the first one by `place` is what the analyzer is asked about.
CREATE TABLE analysis_run_alerts (
    run_id      text NOT NULL REFERENCES analysis_runs (id) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    episode     int NOT NULL,
    place       bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, fingerprint, episode)
);

-- Groups whose next notification waits for an analysis, and until when at most: counted from the first time that it
-- would have gone out, however many analyses follow one another.
CREATE TABLE analysis_holds (
    group_key text PRIMARY KEY,
    until     timestamptz NOT NULL
);

-- What people thought of the analysis of an episode.
CREATE TABLE analysis_feedback (
    fingerprint text NOT NULL,
    episode     int NOT NULL,
    author      text NOT NULL,
    verdict     text NOT NULL,
    comment     text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (fingerprint, episode, author)
);

-- Circuit breakers of providers, shared by all processes.
CREATE TABLE breakers (
    key        text PRIMARY KEY,
    document   jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
