"""The gateway's metrics, and the page that Prometheus scrapes."""
