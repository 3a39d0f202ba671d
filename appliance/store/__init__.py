"""What is on the box: verified files, content-addressed and read-only; the models made of them; installed artefacts."""

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
