"""Parts: what params.yaml names by a `kind`, found in our packages and in those of plugins."""

from prefdata.parts.base import Part, PartConfig
from prefdata.parts.registry import Registry

__all__ = ["Part", "PartConfig", "Registry"]
