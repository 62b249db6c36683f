"""Alerts as they arrive, their episodes and their timeline."""
