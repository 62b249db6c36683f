-- name: latest
-- Which version is in force, and when it was stored: a number alone could be that of a change that never came to be.
SELECT revision, at FROM routing_documents ORDER BY revision DESC LIMIT 1;

-- name: current
SELECT * FROM routing_documents ORDER BY revision DESC LIMIT 1;

-- name: lock
-- Changes come one after the other, the first one included; readers do not wait.
LOCK TABLE routing_documents IN SHARE ROW EXCLUSIVE MODE;

-- name: add
INSERT INTO routing_documents (revision, change, text, document, author, comment)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING *;

-- name: versions
SELECT revision, change, author, comment, at FROM routing_documents ORDER BY revision DESC LIMIT $1;

-- name: version
SELECT * FROM routing_documents WHERE revision = $1;
