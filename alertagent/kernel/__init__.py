"""The vocabulary that every package shares: pure, standard library (and RE2) only."""
