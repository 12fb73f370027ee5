"""What params.yaml may say. An unknown key is an error that lists the valid ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(BaseModel):
    """A judge, consensus, strategy, filter …: `kind` picks it, the rest are its own settings.

    The settings are checked by the part's own configuration before any work starts.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str

    def settings(self) -> dict[str, Any]:
        """Everything but `kind`."""
        return dict(self.model_extra or {})


class PricesParams(Section):
    """What a model's tokens cost; goes into figures alone, into no key."""

    input_per_million: float = Field(0.0, ge=0, description="Tokens that the model reads.")
    output_per_million: float = Field(0.0, ge=0, description="Tokens that it generates.")
    currency: str = Field("USD", min_length=1)

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The money for so many tokens."""
        money = tokens_in * self.input_per_million + tokens_out * self.output_per_million
        return round(money / 1e6, 6)


class ModelParams(Section):
    """A model and the engine that runs it."""

    engine: str = Field("transformers", description="A name from prefdata/engines/lookup.py.")
    model: str = Field(description="Hugging Face id or local folder.")
    revision: str | None = None
    dtype: str = Field("auto", description="auto, float32, bfloat16 or float16.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps …")
    max_batch_tokens: int = Field(16_384, gt=0, description="Tokens a forward pass, padding in.")
    max_batch_rows: int = Field(128, gt=0, description="Sequences generated at once.")
    options: dict[str, Any] = Field(default_factory=dict, description="The engine's own settings.")
    prices: PricesParams | None = Field(None, description="For the summary and the manifest.")


class LabelsParams(Section):
    """What people said of existing answers: one row one annotator's word."""

    kind: Literal["rating", "ranking", "thumb"] = Field(
        description="rating: a number, more is better; thumb: up or down, true or false, 1 or 0; "
        "ranking: a rank an answer, the lowest is the best."
    )
    response_field: str | None = Field(
        None, description="The answer; of a ranking, the list of them. Not set: response(s)."
    )
    value_field: str | None = Field(
        None, description="What was said; of a ranking, a list. Not set: the kind's name."
    )
    annotator_field: str = Field("annotator", description="Who said it; every row needs one.")
    group_field: str = Field("group", description="The annotator's group; a row need not have it.")
    model_field: str = Field(
        "model", description="Who wrote the answer, or a list of them; a row need not have it."
    )
    dimension: str | None = Field(
        None, min_length=1, description="The quality it is about; not set: the judge's."
    )

    def columns(self) -> dict[str, str]:
        """What is read -> the field that holds it."""
        several = self.kind == "ranking"
        return {
            "response": self.response_field or ("responses" if several else "response"),
            "value": self.value_field or self.kind,
            "annotator": self.annotator_field,
            "group": self.group_field,
            "model": self.model_field,
        }


class SourceParams(Section):
    """A file of prompts."""

    path: str
    format: Literal["auto", "jsonl", "parquet", "hh"] = "auto"
    prompt_field: str = Field("prompt", description="A string or a list of messages.")
    messages_field: str = Field("messages", description="A list of messages.")
    reference_field: str = Field(
        "reference", description="What verifiers check answers against; a row need not have it."
    )
    labels: LabelsParams | None = Field(
        None, description="Its rows hold existing answers and what people said of them."
    )
    limit: int | None = Field(None, gt=0, description="Read this many rows and no more.")


class IngestParams(Section):
    sources: list[SourceParams] = Field(min_length=1)
    test_fraction: float = Field(0.1, ge=0, lt=1)
    max_prompt_chars: int = Field(100_000, gt=0)
    max_rejected_fraction: float = Field(0.01, ge=0, le=1)


class GenerateParams(Section):
    """Sampling of the policy's answers."""

    model: str = "policy"
    n: int = Field(
        4, ge=0, description="Samples a prompt; 0: none, only answers that the sources brought."
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
    max_rejected_fraction: float = Field(0.01, ge=0, le=1)

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
    max_chars: int = Field(2_000, gt=0, description="Of a shown question and its two answers.")
    judges: list[str] | None = Field(
        None, min_length=1, description="Judges that are shown them; not set: all that can be."
    )


class JudgeParams(Section):
    judges: list[Part] = Field(min_length=1)
    consensus: Part
    demonstrations: DemonstrationsParams | None = Field(None, description="Left out: none.")
    max_rejected_fraction: float = Field(0.01, ge=0, le=1)


class ScoreParams(Section):
    """CHES of every ordered pair of a prompt's answers."""

    model: str = "policy"
    max_rejected_fraction: float = Field(0.01, ge=0, le=1)


class PairParams(Section):
    strategy: Part


class AugmentParams(Section):
    rewards: list[str] | None = Field(
        None, description="Judges whose scores make the mean reward; none named: all that score."
    )


class FilterParams(Section):
    filters: list[Part] = Field(default_factory=list)
    max_rejected_fraction: float = Field(0.01, ge=0, le=1)


class ExportParams(Section):
    format: Part = Part(kind="trl")
    name: str = Field("preferences", description="The dataset's name on its card.")
    license: str = Field("other", description="The licence on the card; the prompts' decide.")


class RewardHeadParams(Section):
    """Training of the linear reward head over frozen embeddings."""

    data: str = Field(description="JSONL of prompt, chosen, rejected; split = heldout keeps out.")
    model: str = "embedder"
    features: list[Literal["answer", "relevance", "surface"]] = Field(
        default=["answer", "relevance"],
        min_length=1,
        description="Embedding, its product with the question's, what can be counted in the text.",
    )
    control_length: bool = Field(False, description="Take out of the reward what length explains.")
    l2: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        1.0, description="Strength of the L2 penalty; auto: by cross-validation over prompts."
    )
    out: str = "data/reward_head"


class Params(Section):
    """All of params.yaml."""

    data: str = Field("data", description="The folder of all tables.")
    memo: str | None = Field("data/memo", description="Finished model calls; null: keep none.")
    buckets: Literal["auto"] | int = "auto"
    models: dict[str, ModelParams]
    ingest: IngestParams
    reward_head: RewardHeadParams | None = None
    generate: GenerateParams
    judge: JudgeParams
    score: ScoreParams | None = Field(None, description="Left out: no data/scores.")
    pair: PairParams
    augment: AugmentParams = AugmentParams(rewards=None)
    filter: FilterParams = FilterParams()
    export: ExportParams = ExportParams()
