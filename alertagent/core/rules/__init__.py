"""Alerting and recording rules, validated and versioned."""
