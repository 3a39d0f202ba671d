"""Names of what the appliance measures, and the text format in which the figures travel. It measures nothing itself."""

from appliance.metrics.exposition import Sample, parse
from appliance.metrics.names import BOARD, METRICS, Kind, Metric, reference

__all__ = ["BOARD", "METRICS", "Kind", "Metric", "Sample", "parse", "reference"]
