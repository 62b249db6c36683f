-- The routing document by versions; the newest row is in force. Without a document the row is a deletion.
CREATE TABLE routing_documents (
    revision int PRIMARY KEY,
    change   text NOT NULL,
    -- YAML, as it was given.
    text     text,
    document jsonb,
    author   text NOT NULL,
    comment  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);
