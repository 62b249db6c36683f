"""Alerts that must keep coming, and the alarm when one stays away."""
