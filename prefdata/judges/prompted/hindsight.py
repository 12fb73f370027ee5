"""A judge that simulates what follows from acting on the response, and then rates it by that.

RLHS (arXiv 2501.08617): feedback on foresight rewards responses that only please; asked after the
consequences, even simulated ones, the same judge rewards what helped.
"""

from __future__ import annotations

from typing import Literal

from prefdata.judges.asking.rating import WrittenRating, WrittenRatingConfig
from prefdata.judges.asking.rubric import Rubric

_UTILITY = Rubric(
    criteria=(
        "The user got what they wanted from it in the end.",
        "Nothing that they did because of it went wrong or had to be undone.",
        "They would ask again.",
    ),
    anchors={
        1: "acting on it did harm",
        3: "acting on it changed little",
        5: "acting on it got the user what they wanted",
    },
)


class HindsightConfig(WrittenRatingConfig):
    kind: Literal["hindsight"] = "hindsight"
    rubric: Rubric = _UTILITY


class HindsightJudge(WrittenRating):
    """See the module."""

    config: HindsightConfig
