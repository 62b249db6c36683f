"""Alerts that nobody is to hear of for a while."""
