-- What belongs to a group goes with it, and nobody writes about a group without its row's lock. So the foreign keys
-- are kept by a trigger when groups go, and cost nothing when members and what channels know of them come: each check
-- took a lock on the group's row and wrote it.
ALTER TABLE notification_group_alerts DROP CONSTRAINT notification_group_alerts_group_key_fkey;
ALTER TABLE notification_log DROP CONSTRAINT notification_log_group_key_fkey;

CREATE FUNCTION forget_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM notification_group_alerts AS member USING gone WHERE member.group_key = gone.key;
    DELETE FROM notification_log AS told USING gone WHERE told.group_key = gone.key;
    RETURN NULL;
END
$$;
CREATE TRIGGER notification_groups_go AFTER DELETE ON notification_groups
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_groups();
