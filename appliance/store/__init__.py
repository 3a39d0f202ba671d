"""Verified files, content-addressed and read-only, and the records of which of them make up a model."""

from appliance.store.blobs import Blobs
from appliance.store.models import Fault, StoredModel, installed, open_model, record, remove
from appliance.store.record import ModelRecord

__all__ = [
    "Blobs",
    "Fault",
    "ModelRecord",
    "StoredModel",
    "installed",
    "open_model",
    "record",
    "remove",
]
