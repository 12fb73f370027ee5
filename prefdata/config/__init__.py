"""The configuration: params.yaml, typed to its last setting, and how it is read."""

from prefdata.config.load import load_params
from prefdata.config.params import Params

__all__ = ["Params", "load_params"]
