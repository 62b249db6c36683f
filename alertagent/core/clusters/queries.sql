-- name: count_change
-- In the transaction of every change that a rendered configuration depends on.
UPDATE config_generation SET generation = generation + 1 RETURNING generation;

-- name: announce
SELECT pg_notify($1, $2);

-- name: generation
SELECT generation FROM config_generation;

-- name: all
SELECT * FROM clusters ORDER BY id;

-- name: find
SELECT * FROM clusters WHERE id = $1;

-- name: find_for_change
SELECT * FROM clusters WHERE id = $1 FOR UPDATE;

-- name: add
INSERT INTO clusters (id, name, labels, parameters, config_types, query_url) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO NOTHING
RETURNING *;

-- name: replace
UPDATE clusters
   SET name = $2, labels = $3, parameters = $4, config_types = $5, query_url = $6,
       revision = revision + 1, updated_at = now()
 WHERE id = $1
RETURNING *;

-- name: remove
DELETE FROM clusters WHERE id = $1;

-- name: revoke_tokens
-- Those bound to the cluster, and those that may do nothing but act for its sidecar.
UPDATE tokens SET revoked_at = now()
 WHERE (cluster_id = $1 OR scopes = ARRAY['sync:' || $1]) AND revoked_at IS NULL;

-- name: listing
SELECT * FROM clusters
