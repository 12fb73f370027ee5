"""The page of the Python API."""

from __future__ import annotations

from importlib.util import find_spec

_TEXT = """\
# Python API

What `import prefdata` offers to a notebook or script. Importing it loads no torch, vLLM or Beam.
[Use it in a notebook](../../how-to/notebook.md) has examples.

"""
_MEMBERS = """\
```{eval-rst}
.. automodule:: prefdata.api
   :members:
```
"""


def api_page() -> str:
    """The members of prefdata.api, by autodoc."""
    return _TEXT + (_MEMBERS if find_spec("prefdata.api") else "This version has none.\n")
