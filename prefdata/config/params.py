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
    sources: list[SourceSettings] = Field(
        min_length=1, description="A source without a `kind` is of the kind prompts."
    )
    test_fraction: float = Field(0.1, ge=0, lt=1)
    max_prompt_chars: int = Field(100_000, gt=0)
    max_faulty_fraction: float = Field(0.01, ge=0, le=1)


class GenerateParams(Section):
    """Sampling of the policy's responses."""

    model: str = "policy"
    n: int = Field(
        4, ge=0, description="Samples a prompt; 0: none, only responses that the sources brought."
    )
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: all tokens.")
    max_tokens: int = Field(512, gt=0)
    stop: list[str] = Field(default_factory=list)
    seed: int = Field(0, description="Goes into every request's key, and so into its seed.")
    accepted_per_prompt: int | None = Field(
        None, gt=0, description="Pairs that every prompt shall have in the end, and no more."
    )
    target_pairs: int | None = Field(
        None, gt=0, description="Pairs that there shall be in the end, and no more."
    )
    max_n: int | None = Field(
        None, gt=0, description="Samples of a prompt at most, to reach those; not set: 4 n."
    )
    max_faulty_fraction: float = Field(0.01, ge=0, le=1)

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

    def most(self) -> int:
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
    judges: list[JudgeSettings] = Field(min_length=1)
    demonstrations: DemonstrationsParams | None = Field(None, description="Left out: none.")
    max_faulty_fraction: float = Field(0.01, ge=0, le=1)


class ChesParams(Section):
    """CHES of every ordered pair of a prompt's responses."""

    model: str = "policy"
    max_faulty_fraction: float = Field(0.01, ge=0, le=1)


class PairParams(Section):
    strategy: StrategySettings


class AugmentParams(Section):
    augmentations: list[AugmentationSettings] = Field(
        default=[RewardsConfig()], description="Done in this order."
    )


class FilterParams(Section):
    filters: list[FilterSettings] = Field(default_factory=list)
    max_faulty_fraction: float = Field(0.01, ge=0, le=1)


class ExportParams(Section):
    format: ExportSettings = TrlConfig()
    name: str = Field("preferences", description="The dataset's name on its card.")
    license: str = Field("other", description="The licence on the card; the prompts' decide.")


class Params(Section):
    """All of params.yaml."""

    data: str = Field("data", description="The folder of all tables.")
    memo: str | None = Field("data/memo", description="Finished model calls; null: keep none.")
    buckets: Literal["auto"] | int = "auto"
    models: dict[str, ModelSettings]
    ingest: IngestParams
    reward_head: RewardHeadParams | None = None
    generate: GenerateParams
    judge: JudgeParams
    consensus: ConsensusSettings
    ches: ChesParams | None = Field(None, description="Left out: no data/ches.")
    pair: PairParams
    augment: AugmentParams = AugmentParams()
    filter: FilterParams = FilterParams()
    export: ExportParams = ExportParams()
