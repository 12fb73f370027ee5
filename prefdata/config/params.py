"""params.yaml, typed to its last setting. An unknown key is an error that lists the valid ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from prefdata.augment.registry import AUGMENTATIONS
from prefdata.augment.rewards import RewardsConfig
from prefdata.consensus.registry import CONSENSUSES
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.exports.trl import TrlConfig
from prefdata.engines.registry import ENGINES
from prefdata.filters.pairs.limit import LimitConfig
from prefdata.filters.registry import FILTERS
from prefdata.judges.registry import JUDGES
from prefdata.pairs.registry import STRATEGIES
from prefdata.reward_head.config import RewardHeadParams
from prefdata.sources.registry import SOURCES, fill_kind

if TYPE_CHECKING:
    from prefdata.augment.base import AugmentationConfig as AugmentationSettings
    from prefdata.consensus.base import ConsensusConfig as ConsensusSettings
    from prefdata.dataset.exports.base import ExportConfig as ExportSettings
    from prefdata.engines.config import ModelConfig as ModelSettings
    from prefdata.filters.base import FilterConfig as FilterSettings
    from prefdata.judges.base import JudgeConfig as JudgeSettings
    from prefdata.pairs.base import StrategyConfig as StrategySettings
    from prefdata.sources.base import SourceConfig as SourceSettings
else:
    AugmentationSettings = AUGMENTATIONS.settings
    ConsensusSettings = CONSENSUSES.settings
    ExportSettings = EXPORTS.settings
    FilterSettings = FILTERS.settings
    JudgeSettings = JUDGES.settings
    ModelSettings = ENGINES.settings
    SourceSettings = Annotated[SOURCES.settings, BeforeValidator(fill_kind)]
    StrategySettings = STRATEGIES.settings


class Section(BaseModel):
    """A section of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestParams(Section):
    """Reading of prompts, and of the responses and annotations that come with them."""

    sources: list[SourceSettings] = Field(
        min_length=1, description="A source without a `kind` is of the kind prompts."
    )
    test_fraction: float = Field(
        0.1, ge=0, lt=1, description="The share of prompts in the split test; their ids decide."
    )
    max_prompt_chars: int = Field(
        100_000, gt=0, description="The longest prompt, in characters over all turns."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of rows that may be at fault."
    )


class GenerateParams(Section):
    """Sampling of the policy's responses."""

    model: str = Field("policy", description="The policy's name under models.")
    n: int = Field(
        4, ge=0, description="Samples per prompt; 0: only the responses that the sources brought."
    )
    temperature: float = Field(1.0, ge=0, description="0: always the likeliest token.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Sample from the likeliest tokens with this probability."
    )
    top_k: int = Field(0, ge=0, description="Sample from so many likeliest tokens; 0: all.")
    max_tokens: int = Field(512, gt=0, description="The longest response, in tokens.")
    stop: list[str] = Field(
        default_factory=list, description="Texts that end a response; they are no part of it."
    )
    seed: int = Field(0, description="Part of every request's key, from which its seed comes.")
    accepted_per_prompt: int | None = Field(
        None, gt=0, description="The pairs that every prompt shall have in the end, no more."
    )
    target_pairs: int | None = Field(
        None, gt=0, description="The pairs that there shall be in the end, no more."
    )
    max_n: int | None = Field(
        None, gt=0, description="The most samples of a prompt to reach these; not set: 4 n."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of samples that may be at fault."
    )

    @model_validator(mode="after")
    def _enough_samples(self) -> GenerateParams:
        if self.n == 0 and self.wants_pairs():
            raise ValueError(
                "n: 0 draws no samples, so accepted_per_prompt and target_pairs can't be reached "
                "by more of them; set n above 0, or leave those out"
            )
        if self.max_n is None:
            return self
        if self.max_n < self.n:
            raise ValueError(f"max_n: {self.max_n} is less than n: {self.n}")
        if not self.wants_pairs():
            raise ValueError("max_n: set accepted_per_prompt or target_pairs, which it is for")
        return self

    def wants_pairs(self) -> bool:
        """Whether samples are drawn until there are as many pairs as wanted."""
        return self.accepted_per_prompt is not None or self.target_pairs is not None

    def max_samples(self) -> int:
        """The samples that a prompt gets at most."""
        return self.max_n or 4 * self.n


class DemonstrationsParams(Section):
    """Agreed comparisons that judges are shown before the one they are asked about."""

    cycles: int = Field(2, ge=2, description="How often judges are asked; the first shows none.")
    count: int = Field(4, gt=0, description="Comparisons shown, each of another prompt.")
    max_chars: int = Field(2_000, gt=0, description="Of a shown question and its two responses.")
    judges: list[str] | None = Field(
        None, min_length=1, description="Judges that are shown them; not set: all that can be."
    )


class JudgeParams(Section):
    """Judging of every two responses to a prompt."""

    judges: list[JudgeSettings] = Field(min_length=1, description="All are asked.")
    demonstrations: DemonstrationsParams | None = Field(
        None, description="Judging in cycles, with agreed comparisons as examples; left out: none."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of comparisons that may be at fault."
    )


class ChesParams(Section):
    """CHES of every ordered pair of a prompt's responses."""

    model: str = Field("policy", description="The name of the model that is to be trained.")
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of ordered pairs that may be at fault."
    )


class PairParams(Section):
    """Choosing of pairs among the labelled comparisons."""

    strategy: StrategySettings = Field(description="Which of them become pairs.")


class AugmentParams(Section):
    """What is known of a pair, put beside it."""

    augmentations: list[AugmentationSettings] = Field(
        default=[RewardsConfig()], description="Done in this order."
    )


class FilterParams(Section):
    """Dropping of pairs."""

    filters: list[FilterSettings] = Field(
        default_factory=list, description="Run in this order, each on what those before it left."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of pairs that may be at fault."
    )


class ExportParams(Section):
    """The published dataset."""

    format: ExportSettings = Field(TrlConfig(), description="Whom the rows are written for.")
    name: str = Field("preferences", description="The dataset's name on its card.")
    license: str = Field(
        "other", description="The licence on the card; that of the prompts decides."
    )


class Params(Section):
    """All of params.yaml."""

    data: str = Field("data", description="The folder of all tables.")
    memo: str | None = Field("data/memo", description="Finished model calls; null: keep none.")
    buckets: Literal["auto"] | int = Field(
        "auto", description="Files of every table, a power of two; auto: by the number of prompts."
    )
    models: dict[str, ModelSettings] = Field(
        description="Every model, by the name that the other sections use."
    )
    ingest: IngestParams
    reward_head: RewardHeadParams | None = Field(
        None, description="Training of the reward head; left out: none is trained."
    )
    generate: GenerateParams
    judge: JudgeParams
    consensus: ConsensusSettings = Field(
        description="What makes one label of all judgments on a comparison."
    )
    ches: ChesParams | None = Field(None, description="CHES for pairing; left out: none.")
    pair: PairParams
    augment: AugmentParams = AugmentParams()
    filter: FilterParams = FilterParams()
    export: ExportParams = ExportParams()

    def list_filters(self) -> list[FilterSettings]:
        """The filters, and after them the limit to what generate is to reach."""
        generate = self.generate
        if not generate.wants_pairs():
            return list(self.filter.filters)
        limit = LimitConfig(per_prompt=generate.accepted_per_prompt, pairs=generate.target_pairs)
        return [*self.filter.filters, limit]

    def label_filters(self) -> list[str]:
        """What each filter's counts go by: its position and its kind."""
        return [f"{number} {config.kind}" for number, config in enumerate(self.list_filters())]
