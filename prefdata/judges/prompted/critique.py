"""A judge that writes a critique of the answer first and then rates it.

MM-RLHF (arXiv 2502.10391): a critique-based reward model critiques before it scores, which can be
read and checked; CUT (Xu et al., arXiv 2312.14591): the critique names what in the answer is
inappropriate. The critique is kept as the trace.
"""

from __future__ import annotations

from prefdata.judges.asking.rating import WrittenRating


class CritiqueJudge(WrittenRating):
    """See the module."""

    kind = "critique"
