"""The catalogue of known models: what they are, whose, under which licence, and the digest of every byte."""

from appliance.catalog.catalogue import Catalogue
from appliance.catalog.entry import ModelEntry, ModelFile, PackageParts, Part, Trust

__all__ = ["Catalogue", "ModelEntry", "ModelFile", "PackageParts", "Part", "Trust"]
