"""A judge that writes a critique of the response first and then rates it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from prefdata.judges.asking.rating import WrittenRatingConfig, WrittenRatingJudge


class CritiqueConfig(WrittenRatingConfig):
    kind: Literal["critique"] = "critique"
    templates: dict[str, str] = Field(
        {},
        description="Templates that replace the defaults. critique: {criteria}, {prompt}, "
        "{response}; critique_rating: none.",
        examples=[{"critique_rating": "Reply with your rating as one digit."}],
    )

    placeholders: ClassVar[dict[str, tuple[str, ...]]] = {
        "critique": ("criteria", "prompt", "response"),
        "critique_rating": (),
    }
    example: ClassVar[dict[str, Any]] = {"model": "policy", "verdict": "choice"}


class CritiqueJudge(WrittenRatingJudge):
    """Has the model critique each response and then rate it; the critique becomes the trace.

    MM-RLHF (arXiv 2502.10391): a critique-based reward model critiques before it scores. CUT (Xu
    et al., arXiv 2312.14591): the critique names what in the response is inappropriate.
    """

    config: CritiqueConfig
