"""What flows between the stages: one record a file, each a pydantic model and an Arrow schema."""

from prefdata.records.annotation import Answer, Label
from prefdata.records.base import SCHEMA_VERSION, Record
from prefdata.records.ches import Score
from prefdata.records.demonstration import Demonstration
from prefdata.records.dropped import Rejection
from prefdata.records.judgment import CONSENSUS, Judgment
from prefdata.records.pair import AugmentedPair, FilteredPair, Opinion, Pair
from prefdata.records.preference import Preference
from prefdata.records.prompt import Message, Prompt
from prefdata.records.response import Response
from prefdata.records.top_up import TopUp

RECORDS: tuple[type[Record], ...] = (
    Prompt,
    Response,
    Judgment,
    Score,
    Pair,
    AugmentedPair,
    FilteredPair,
    Preference,
    Rejection,
    TopUp,
    Demonstration,
)

__all__ = [
    "CONSENSUS",
    "RECORDS",
    "SCHEMA_VERSION",
    "Answer",
    "AugmentedPair",
    "Demonstration",
    "FilteredPair",
    "Judgment",
    "Label",
    "Message",
    "Opinion",
    "Pair",
    "Preference",
    "Prompt",
    "Record",
    "Rejection",
    "Response",
    "Score",
    "TopUp",
]
