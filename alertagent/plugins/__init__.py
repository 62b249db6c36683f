"""What tells people (notifiers) and what explains alerts (analyzers), and the one place that sends."""
