"""The notification plugins that ship with AlertAgent, one file a channel."""
