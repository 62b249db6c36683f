-- name: record
INSERT INTO audit_log (actor, action, subject_kind, subject_id, before, after, request_id, remote)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: record_all
INSERT INTO audit_log (actor, action, subject_kind, subject_id, before, after, request_id, remote)
SELECT $2, action, subject_kind, subject_id, before, after, $3, $4
  FROM jsonb_to_recordset($1)
    AS new (action text, subject_kind text, subject_id text, before jsonb, after jsonb);
