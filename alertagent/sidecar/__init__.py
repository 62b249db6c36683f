"""The light process beside a monitoring server: pulls its configuration, applies it, proves that it runs."""
