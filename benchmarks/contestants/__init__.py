"""Queues that run the same tasks: `python -m benchmarks.contestants.NAME produce|work KIND COUNT`.

Each prints one line of JSON when it is done; a worker prints `ready` first. REDIS_PORT and DATABASE_URL say where.
"""
