"""The names of the appliance's metrics, and Prometheus' text format. This package measures nothing."""

from appliance.metrics.exposition import Sample, parse
from appliance.metrics.names import BOARD, METRICS, Kind, Metric, reference

__all__ = ["BOARD", "METRICS", "Kind", "Metric", "Sample", "parse", "reference"]
