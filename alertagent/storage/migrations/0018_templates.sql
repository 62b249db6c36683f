-- How messages are worded: `texts` has a title and a body for each language.
CREATE TABLE message_templates (
    id         text PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    texts      jsonb NOT NULL,
    revision   int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Null: the language of the channel's plugin, and its own layout.
ALTER TABLE user_notification_configs
    ADD COLUMN language text,
    ADD COLUMN template text REFERENCES message_templates (name) ON UPDATE CASCADE;

-- Why a template did not word it, so that the plugin's layout did.
ALTER TABLE notification_deliveries ADD COLUMN template_error text NOT NULL DEFAULT '';
