"""Alertmanager's API v2: what amtool, karma and Grafana read of alerts and silences, and how they silence."""
