"""The monitored clusters: their labels, parameters and configuration types."""
