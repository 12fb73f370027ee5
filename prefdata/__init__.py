"""prefdata makes preference data for aligning language models.

For notebooks and scripts: `run` a flow, `read` its tables, `judge` and `measure_ches` on your own
frames. Importing the package loads none of its dependencies; each function loads what it needs.

>>> import prefdata
>>> rows = [{"prompt": "2 + 2?", "response_a": "4", "response_b": "5", "ground_truth": "4"}]
>>> prefdata.judge(rows, {"kind": "exact_match"})["preference"].to_list()
[1.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefdata.api import judge, load_params, measure_ches, read, run, run_stage

__version__ = "0.1.0"
__all__ = ["__version__", "judge", "load_params", "measure_ches", "read", "run", "run_stage"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'prefdata' has no attribute {name!r}")
    from prefdata import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
