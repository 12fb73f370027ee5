"""The language of a text."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.subjects import select_texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig


class LanguageConfig(TextFilterConfig):
    kind: Literal["language"] = "language"
    languages: list[str] = Field(
        [],
        description="ISO 639-1 codes of the wanted languages; none: the prompt's language.",
        examples=[["en"]],
    )
    among: list[str] = Field(
        [], description="Codes that may occur; none: all 97.", examples=[["en", "de"]]
    )
    min_confidence: float = Field(
        0.9, ge=0, le=1, description="Texts of a less confident guess pass.", examples=[1.0]
    )
    min_chars: int = Field(20, ge=1, description="Texts of fewer letters pass.", examples=[99])

    @model_validator(mode="after")
    def _check_languages(self) -> LanguageConfig:
        if not self.languages and "prompt" in self.of:
            raise ValueError("of holds prompt, so languages must say which are wanted")
        if self.among and not set(self.languages) <= set(self.among):
            raise ValueError("among must hold all of languages")
        return self


class Language(TextFilter):
    """Drops texts in unwanted languages, or responses in another language than their prompt.

    Languages are identified by py3langid (the extra `language`), which knows 97 and contains its
    model; `among` narrows them to those that may occur. On short texts it often guesses wrong, so
    texts of fewer than `min_chars` letters and guesses of low confidence pass.
    """

    code = "other_language"
    config: LanguageConfig

    def setup(self) -> None:
        try:
            valid = _load_identifier(()).labels
        except ImportError as error:
            raise ConfigError(
                f"{self.where}: the filter language needs py3langid",
                "Install the extra: pip install prefdata[language]",
            ) from error
        named = [*self.config.languages, *self.config.among]
        wrong = [code for code in named if code not in valid]
        if wrong:
            raise ConfigError(
                f"{self.where}: py3langid doesn't know {', '.join(wrong)}; "
                f"known: {', '.join(valid)}"
            )
        self.identifier = _load_identifier(tuple(sorted(self.config.among)))

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        detected = self._detect(rows["text"])
        if self.config.languages:
            other = ~pl.col("code").is_in(self.config.languages)
            wanted = pl.lit(", ".join(self.config.languages))
        else:
            prompts = select_texts(texts.prompts).join(
                rows, left_on="id", right_on="prompt_id", how="semi"
            )
            spoken = self._detect(prompts["text"]).select(
                prompt_id=prompts["id"], prompt=pl.when(pl.col("sure")).then("code")
            )
            prompt = rows.join(spoken, on="prompt_id", how="left", maintain_order="left")["prompt"]
            detected = detected.with_columns(prompt)
            other = pl.col("code") != pl.col("prompt")
            wanted = pl.format("{} as in the prompt", "prompt")
        flaw = pl.format("{} with confidence {}, wanted {}", "code", "confidence", wanted)
        return detected.select(pl.when(pl.col("sure") & other).then(flaw)).to_series()

    def _detect(self, texts: pl.Series) -> pl.DataFrame:
        """One row per text: `code`, `confidence`, and whether the guess is `sure`."""
        rows = [self.identifier.classify(text) for text in texts]
        letters = texts.str.count_matches(r"\p{L}")
        return pl.DataFrame(
            {
                "code": pl.Series([str(code) for code, _ in rows], dtype=pl.String),
                "confidence": pl.Series([float(c) for _, c in rows], dtype=pl.Float64).round(4),
                "letters": letters,
            }
        ).select(
            "code",
            "confidence",
            sure=(pl.col("confidence") >= self.config.min_confidence)
            & (pl.col("letters") >= self.config.min_chars),
        )


@cache
def _load_identifier(among: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))
    return identifier
