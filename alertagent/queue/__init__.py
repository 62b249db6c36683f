"""A durable task queue: PostgreSQL is the ledger, Redis Streams dispatch. Knows tasks, not alerts."""
