"""The box's store: verified, content-addressed, read-only files, the models made of them, and installed artefacts."""

from appliance.store.artefacts import ArtefactStore
from appliance.store.blobs import Blobs
from appliance.store.models import Fault, StoredModel, installed, open_model, record, remove
from appliance.store.record import ModelRecord

__all__ = [
    "ArtefactStore",
    "Blobs",
    "Fault",
    "ModelRecord",
    "StoredModel",
    "installed",
    "open_model",
    "record",
    "remove",
]
