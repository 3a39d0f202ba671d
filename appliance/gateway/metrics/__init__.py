"""What the gateway counts and measures, and the page that Prometheus scrapes."""
