-- name: claim_reply
-- A row comes back only to the one who may do the work: the key is new, its reply too old, or its first request died.
INSERT INTO idempotent_replies AS kept (key, digest) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, status = NULL, headers = NULL, body = NULL, created_at = now()
 WHERE kept.created_at < now() - $3::interval
    OR (kept.status IS NULL AND kept.created_at < now() - $4::interval)
RETURNING key;

-- name: kept_reply
SELECT digest, status, headers, body FROM idempotent_replies WHERE key = $1;

-- name: keep_reply
UPDATE idempotent_replies SET status = $2, headers = $3, body = $4 WHERE key = $1;

-- name: release_reply
DELETE FROM idempotent_replies WHERE key = $1 AND status IS NULL;

-- name: forget_replies
DELETE FROM idempotent_replies WHERE created_at < now() - $1::interval;

-- name: find_breakers
SELECT key, document FROM breakers WHERE key = ANY ($1);

-- name: breakers_in_trouble
-- Those that are shut, or of which somebody failed lately.
SELECT key, document FROM breakers
 WHERE document -> 'open_until' IS NOT NULL OR document -> 'paused_until' IS NOT NULL
    OR document @> '{"recent": [true]}';

-- name: add_breaker
INSERT INTO breakers (key, document) VALUES ($1, '{}') ON CONFLICT (key) DO NOTHING;

-- name: lock_breaker
SELECT document FROM breakers WHERE key = $1 FOR UPDATE;

-- name: keep_breaker
UPDATE breakers SET document = $2, updated_at = now() WHERE key = $1;

-- name: renew_probe
-- As long as the row speaks of this probe.
UPDATE breakers SET document = document || jsonb_build_object('probe_until', $3::text), updated_at = now()
 WHERE key = $1 AND document ->> 'probe_until' = ANY ($2::text[])
RETURNING key;

-- name: release_probe
UPDATE breakers SET document = document - 'probe_until', updated_at = now()
 WHERE key = $1 AND document ->> 'probe_until' = ANY ($2::text[]);

-- name: remove_breaker
DELETE FROM breakers WHERE key = $1;

-- name: forget_breakers
DELETE FROM breakers WHERE updated_at < now() - $1::interval;

-- name: sealing_keys
SELECT id, proof, seals, added_at FROM sealing_keys ORDER BY seals DESC, added_at DESC, id;

-- name: hold_sealing_keys
-- Nobody makes another key the one that seals before the transaction ends. Locks on rows would not do: who waits for one
-- does not see the row of a new key.
LOCK TABLE sealing_keys IN ROW EXCLUSIVE MODE;

-- name: sealing_key
SELECT id FROM sealing_keys WHERE seals;

-- name: lock_sealing_keys
-- One at a time decides which key seals, while nobody writes secrets.
LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: add_sealing_key
INSERT INTO sealing_keys (id, proof) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING;

-- name: retire_sealing_key
-- Before another one is made the current one: there is one at most at any moment.
UPDATE sealing_keys SET seals = false WHERE seals AND id <> $1;

-- name: use_sealing_key
UPDATE sealing_keys SET seals = true WHERE id = $1;

-- name: forget_sealing_keys
-- The ones before, unless somebody has begun to change the key once more.
DELETE FROM sealing_keys WHERE NOT seals AND EXISTS (SELECT FROM sealing_keys WHERE id = $1 AND seals);
