-- Who deals with an alert. The release before does not know the column: an episode that it begins keeps the name of
-- whoever dealt with the last one.
ALTER TABLE alerts ADD COLUMN assigned_to text;
