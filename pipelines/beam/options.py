"""Beam's options, whose views are made once.

Beam asks for a view of its options about a hundred times a pipeline, some of them at every check of
a type, and parses the whole command line for each.
"""

from __future__ import annotations

from typing import Any, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

View = TypeVar("View", bound=PipelineOptions)


class CachingOptions(PipelineOptions):
    """PipelineOptions that keep their views. All views of a class share their values anyway."""

    def view_as(self, cls: type[View]) -> View:
        """The view as this class of options."""
        # PipelineOptions takes any other attribute for an option.
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        # The copy makes its own: views must share the values of the options that they belong to.
        state = dict(super().__getstate__())
        state.pop("_views", None)
        return state
