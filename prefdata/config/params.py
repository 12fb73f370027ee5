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
    """Reading prompts, and the responses and annotations that come with them."""

    sources: list[SourceSettings] = Field(
        min_length=1, description="A source without a `kind` is of the kind prompts."
    )
    test_fraction: float = Field(
        0.1, ge=0, lt=1, description="The share of prompts in the split test, chosen by their ids."
    )
    max_prompt_chars: int = Field(
        100_000, gt=0, description="The longest prompt, in characters over all turns."
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of rows that may be at fault."
    )


class GenerateParams(Section):
    """Sampling responses from the policy."""

    model: str = Field("policy", description="The policy's name under models.")
    n: int = Field(
        4, ge=0, description="Samples per prompt; 0: use only the responses from the sources."
    )
    temperature: float = Field(1.0, ge=0, description="0: always the likeliest token.")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Sample from the likeliest tokens with this total probability.",
    )
    top_k: int = Field(0, ge=0, description="Sample from this many likeliest tokens; 0: all.")
    max_tokens: int = Field(512, gt=0, description="The longest response, in tokens.")
    stop: list[str] = Field(
        default_factory=list, description="Texts that end a response and are not part of it."
    )
    seed: int = Field(0, description="Part of every request's key, from which its seed comes.")
    accepted_per_prompt: int | None = Field(
        None, gt=0, description="The number of pairs to reach for every prompt, and no more."
    )
    target_pairs: int | None = Field(
        None, gt=0, description="The number of pairs to reach in all, and no more."
    )
    max_n: int | None = Field(
        None, gt=0, description="The most samples per prompt to reach them; null: 4 n."
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
        """Whether samples are drawn until a number of pairs is reached."""
        return self.accepted_per_prompt is not None or self.target_pairs is not None

    def max_samples(self) -> int:
        """The most samples that a prompt gets."""
        return self.max_n or 4 * self.n


class DemonstrationsParams(Section):
    """Labelled comparisons that judges see before the one they are asked about."""

    cycles: int = Field(
        2, ge=2, description="The number of times judges are asked; the first time without any."
    )
    count: int = Field(
        4, gt=0, description="The number of demonstrations shown, each on another prompt."
    )
    max_chars: int = Field(
        2_000, gt=0, description="The longest prompt with its two responses, in characters."
    )
    judges: list[str] | None = Field(
        None, min_length=1, description="The judges that see them; null: all that support it."
    )


class JudgeParams(Section):
    """Judging every two responses to a prompt."""

    judges: list[JudgeSettings] = Field(
        min_length=1, description="The judges; each judges every comparison."
    )
    demonstrations: DemonstrationsParams | None = Field(
        None,
        description="Judge in cycles, with labelled comparisons as examples; null: judge once.",
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
    """Choosing pairs among the labelled comparisons."""

    strategy: StrategySettings = Field(description="Chooses which comparisons become pairs.")


class AugmentParams(Section):
    """Adding rewards, margins and judgments to the pairs."""

    augmentations: list[AugmentationSettings] = Field(
        default=[RewardsConfig()], description="The augmentations, run in this order."
    )


class FilterParams(Section):
    """Dropping pairs."""

    filters: list[FilterSettings] = Field(
        default_factory=list,
        description="The filters, run in this order, each on the pairs that the last one kept.",
    )
    max_faulty_fraction: float = Field(
        0.01, ge=0, le=1, description="The largest fraction of pairs that may be at fault."
    )


class ExportParams(Section):
    """The published dataset."""

    format: ExportSettings = Field(TrlConfig(), description="The trainer to write the rows for.")
    name: str = Field("preferences", description="The dataset's name on its card.")
    license: str = Field(
        "other", description="The licence on the card; it depends on that of the prompts."
    )


class Params(Section):
    """All of params.yaml."""

    data: str = Field("data", description="The folder of all tables.")
    memo: str | None = Field("data/memo", description="Finished model calls; null: keep none.")
    buckets: Literal["auto"] | int = Field(
        "auto",
        description="The number of files of every table, a power of two; auto: by the number of "
        "prompts.",
    )
    models: dict[str, ModelSettings] = Field(
        description="Every model, by the name that the other sections use."
    )
    ingest: IngestParams
    reward_head: RewardHeadParams | None = Field(
        None, description="Training the reward head; null: none is trained."
    )
    generate: GenerateParams
    judge: JudgeParams
    consensus: ConsensusSettings = Field(
        description="Makes one label of all judgments on a comparison."
    )
    ches: ChesParams | None = Field(None, description="CHES for pairing; null: not measured.")
    pair: PairParams
    augment: AugmentParams = AugmentParams()
    filter: FilterParams = FilterParams()
    export: ExportParams = ExportParams()

    def list_filters(self) -> list[FilterSettings]:
        """The filters, followed by the limit that generate's wanted pairs set, if they do."""
        generate = self.generate
        if not generate.wants_pairs():
            return list(self.filter.filters)
        limit = LimitConfig(per_prompt=generate.accepted_per_prompt, pairs=generate.target_pairs)
        return [*self.filter.filters, limit]

    def label_filters(self) -> list[str]:
        """The label of each filter in counts: its position and its kind."""
        return [f"{number} {config.kind}" for number, config in enumerate(self.list_filters())]
