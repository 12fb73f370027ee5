"""A judge that writes a critique of the response first and then rates it.

MM-RLHF (arXiv 2502.10391): a critique-based reward model critiques before it scores, which can be
read and checked; CUT (Xu et al., arXiv 2312.14591): the critique names what in the response is
inappropriate. The critique is kept as the trace.
"""

from __future__ import annotations

from typing import Literal

from prefdata.judges.asking.rating import WrittenRating, WrittenRatingConfig


class CritiqueConfig(WrittenRatingConfig):
    kind: Literal["critique"] = "critique"


class CritiqueJudge(WrittenRating):
    """See the module."""

    config: CritiqueConfig
