-- What keeps alerts quiet for a while. Whether one is pending, active or expired follows from its times.
CREATE TABLE silences (
    id         text PRIMARY KEY,
    -- Each as it is written: severity="critical".
    matchers   text[] NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    created_by text NOT NULL,
    comment    text NOT NULL,
    -- Null: from its start to its end without a break.
    recurrence jsonb,
    revision   int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- All that is asked at each look at a group of alerts: which silences are in force, and in which revision.
CREATE INDEX silences_by_end ON silences (ends_at) INCLUDE (starts_at, id, revision);
