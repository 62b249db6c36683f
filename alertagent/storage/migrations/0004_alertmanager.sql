-- The Alertmanager configuration of a cluster, byte for byte as it was given. `config` is null once it was deleted;
-- the row stays, so that versions go on counting and masks keep their key.
CREATE TABLE alertmanager_configs (
    cluster_id text PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE,
    revision   int NOT NULL,
    config     text,
    templates  jsonb NOT NULL,
    mask_key   bytea NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN alertmanager_configs.templates IS 'file name -> text';

-- They hold secrets, so they go with their cluster.
CREATE TABLE alertmanager_config_versions (
    cluster_id text NOT NULL REFERENCES alertmanager_configs (cluster_id) ON DELETE CASCADE,
    revision   int NOT NULL,
    change     text NOT NULL,
    config     text,
    templates  jsonb NOT NULL,
    author     text NOT NULL,
    comment    text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, revision)
);

-- A configuration that goes with other files is kept as one archive.
ALTER TABLE config_snapshots ADD COLUMN is_bundle boolean NOT NULL DEFAULT false;
