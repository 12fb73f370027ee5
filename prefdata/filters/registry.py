"""The filters there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.filters.base import Filter
from prefdata.filters.duplicates.near_duplicates import NearDuplicates
from prefdata.filters.duplicates.semantic_duplicates import SemanticDuplicates
from prefdata.filters.pairs.ches import Ches
from prefdata.filters.pairs.length_bias import LengthBias
from prefdata.filters.pairs.limit import Limit
from prefdata.filters.pairs.near_identical import NearIdentical
from prefdata.filters.pairs.similar_responses import SimilarAnswers
from prefdata.filters.selection.facility_location import FacilityLocation
from prefdata.filters.selection.k_center import KCenter
from prefdata.filters.selection.quality_diversity import QualityDiversity
from prefdata.filters.texts.contamination import Contamination
from prefdata.filters.texts.language import Language
from prefdata.filters.texts.offensive import Offensive
from prefdata.filters.texts.personal_data import PersonalData
from prefdata.filters.texts.refusals import Refusals
from prefdata.filters.texts.repetition import Repetition
from prefdata.filters.texts.truncation import Truncation

FILTERS: dict[str, type[Filter]] = {
    f.kind: f
    for f in (
        Ches,
        Contamination,
        FacilityLocation,
        KCenter,
        Language,
        LengthBias,
        Limit,
        NearDuplicates,
        NearIdentical,
        Offensive,
        PersonalData,
        QualityDiversity,
        Refusals,
        Repetition,
        SemanticDuplicates,
        SimilarAnswers,
        Truncation,
    )
}


def build(parts: Sequence[Part]) -> list[Filter]:
    """The filters of params.yaml in their order, their settings checked."""
    filters = []
    for position, part in enumerate(parts):
        where = f"filter.filters.{position}"
        filters.append(known(FILTERS, part.kind, where)(part.settings(), where))
    return filters
