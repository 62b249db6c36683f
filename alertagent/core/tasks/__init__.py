"""The queues as people watch and steer them: what waits, what failed, what lies dead."""
