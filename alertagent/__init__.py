"""AlertAgent: one service that owns alerting across many Prometheus, vmalert and Alertmanager servers."""

__version__ = "0.1.0"
