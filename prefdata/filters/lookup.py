"""The filters there are, by the `kind` that params.yaml uses."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.load import known
from prefdata.config.params import Part
from prefdata.filters.base import Filter
from prefdata.filters.ches import Ches
from prefdata.filters.contamination import Contamination
from prefdata.filters.facility_location import FacilityLocation
from prefdata.filters.k_center import KCenter
from prefdata.filters.language import Language
from prefdata.filters.length_bias import LengthBias
from prefdata.filters.limit import Limit
from prefdata.filters.near_duplicates import NearDuplicates
from prefdata.filters.near_identical import NearIdentical
from prefdata.filters.offensive import Offensive
from prefdata.filters.personal_data import PersonalData
from prefdata.filters.quality_diversity import QualityDiversity
from prefdata.filters.refusals import Refusals
from prefdata.filters.repetition import Repetition
from prefdata.filters.semantic_duplicates import SemanticDuplicates
from prefdata.filters.similar_answers import SimilarAnswers
from prefdata.filters.truncation import Truncation

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
