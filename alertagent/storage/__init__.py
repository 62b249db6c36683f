"""PostgreSQL: the pool, transactions, named SQL blocks and forward-only migrations."""
