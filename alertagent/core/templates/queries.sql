-- name: templates
SELECT * FROM message_templates

-- name: find_template
SELECT * FROM message_templates WHERE id = $1;

-- name: find_template_for_change
SELECT * FROM message_templates WHERE id = $1 FOR UPDATE;

-- name: template_named
SELECT * FROM message_templates WHERE name = $1;

-- name: add_template
INSERT INTO message_templates (id, name, texts) VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING
RETURNING *;

-- name: replace_template
-- Channels follow another name by their foreign key.
UPDATE message_templates SET name = $2, texts = $3, revision = revision + 1, updated_at = now()
 WHERE id = $1
RETURNING *;

-- name: channels_renamed
-- They read differently now, so whoever looked at one before may not change it unseen.
UPDATE user_notification_configs SET revision = revision + 1 WHERE template = $1;

-- name: channels_using
SELECT name FROM user_notification_configs WHERE template = $1 ORDER BY name;

-- name: remove_template
DELETE FROM message_templates WHERE id = $1;
