"""The edge inference appliance: verified models, served by NVIDIA Triton, behind a gateway of the site's own."""

__version__ = "0.1.0"
