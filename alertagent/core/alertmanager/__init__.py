"""The Alertmanager configurations of clusters: read, judged, versioned and served."""
