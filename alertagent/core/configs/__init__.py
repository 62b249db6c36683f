"""What each cluster must run, rendered from the rules, and what its sidecars say it runs."""
