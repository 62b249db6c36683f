"""Channels, groups and deliveries: telling people, once, and keeping the answer."""
