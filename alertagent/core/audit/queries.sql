-- name: record
INSERT INTO audit_log (actor, action, subject_kind, subject_id, before, after, request_id, remote)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
