"""The catalogue of known models: maker, licence, source, and the digest of every file."""

from appliance.catalog.catalogue import Catalogue
from appliance.catalog.entry import ModelEntry, ModelFile, PackageParts, Part, Trust

__all__ = ["Catalogue", "ModelEntry", "ModelFile", "PackageParts", "Part", "Trust"]
