"""Who hears of an alert that nobody acknowledges."""
