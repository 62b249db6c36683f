"""Which channels hear of an alert, in which group and when. Pure."""
