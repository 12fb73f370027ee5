"""Loading Beam without the connectors that no stage uses: a third of the time that it takes."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_UNUSED = ("apache_beam.io.gcp.bigquery", "apache_beam.io.mongodbio")
"""Modules whose names Beam copies into `apache_beam.io`; they load clients of databases."""
_OPTIONAL = "pandas"
"""Beam loads it, where it can be imported, for types of its own."""

SAMPLING_MS = 10
"""How often Beam notes in which step a bundle is. A bundle ends only at the next note, by default
up to 200 ms after its last element, and every stage waits for its bundles."""


def load_beam() -> None:
    """Import Beam, in a process whose pipelines are all prefdata's: in one that others share,
    `apache_beam.io` would lack their names. The modules that are left out can be imported later."""
    if "apache_beam" in sys.modules:
        return
    stand_ins: dict[str, ModuleType | None] = {name: ModuleType(name) for name in _UNUSED}
    stand_ins[_OPTIONAL] = None
    stand_ins = {name: each for name, each in stand_ins.items() if name not in sys.modules}
    vars(sys)["modules"].update(stand_ins)
    try:
        importlib.import_module("apache_beam")
    finally:
        for name in stand_ins:
            del sys.modules[name]
    from apache_beam.runners.worker import statesampler

    # There is no option for it.
    statesampler.StateSampler.__init__.__defaults__ = (SAMPLING_MS,)
