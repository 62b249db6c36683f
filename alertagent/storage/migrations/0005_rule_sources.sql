-- Rules that come from files: which import owns a rule, and where in its group a deleted one stood.

ALTER TABLE alert_rules
    ADD COLUMN source text NOT NULL DEFAULT '';
CREATE INDEX alert_rules_by_source ON alert_rules (source) WHERE source <> '';
CREATE INDEX alert_rules_by_group ON alert_rules (group_name);

ALTER TABLE alert_rule_versions
    ADD COLUMN position bigint;
