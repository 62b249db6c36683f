-- The keys that secrets are sealed under, by ids that tell nothing of them. One at most seals what is written; before
-- any does, what is written lies in the clear, where the release before can read it.
CREATE TABLE sealing_keys (
    id       text PRIMARY KEY,
    -- A known text, sealed under it.
    proof    text NOT NULL,
    seals    boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX sealing_keys_current ON sealing_keys (seals) WHERE seals;
