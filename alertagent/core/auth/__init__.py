"""Tokens, roles and scopes: who is calling and what they may do."""
