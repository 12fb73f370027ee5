"""Language: texts in other languages than those wanted, or responses in another than their prompt's.

By py3langid (the extra `language`): 97 languages, its model inside the package. It is told what
languages may occur, if `among` says so; on texts of a few words it often guesses wrong, so a text
of fewer than `min_chars` letters, or one that it is not sure of, passes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.duplicates.base import identified
from prefdata.filters.texts.base import FlawConfig, Flaws


class LanguageConfig(FlawConfig):
    kind: Literal["language"] = "language"
    languages: list[str] = Field(
        [], description="ISO 639-1 codes of the languages wanted; none: the prompt's own."
    )
    among: list[str] = Field([], description="Codes of all that may occur; none: all 97.")
    min_confidence: float = Field(0.9, ge=0, le=1, description="Less sure, and the text passes.")
    min_chars: int = Field(20, ge=1, description="Fewer letters, and the text passes.")

    @model_validator(mode="after")
    def _fits(self) -> LanguageConfig:
        if not self.languages and "prompt" in self.of:
            raise ValueError("of holds prompt, so languages must say which are wanted")
        if self.among and not set(self.languages) <= set(self.among):
            raise ValueError("among must hold all of languages")
        return self


class Language(Flaws):
    """See the module."""

    code = "other_language"
    config: LanguageConfig

    def setup(self) -> None:
        known = _identifier(()).labels
        named = [*self.config.languages, *self.config.among]
        wrong = [code for code in named if code not in known]
        if wrong:
            raise ConfigError(
                f"{self.where}: py3langid doesn't know {', '.join(wrong)}; known: {', '.join(known)}"
            )

    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        found = self._detected(rows["text"])
        if self.config.languages:
            other = ~pl.col("code").is_in(self.config.languages)
            wanted = pl.lit(", ".join(self.config.languages))
        else:
            asked = identified(texts.prompts).join(
                rows, left_on="id", right_on="prompt_id", how="semi"
            )
            spoken = self._detected(asked["text"])
            spoken = spoken.select(
                prompt_id=asked["id"], prompt=pl.when(pl.col("sure")).then("code")
            )
            prompt = rows.join(spoken, on="prompt_id", how="left", maintain_order="left")["prompt"]
            found = found.with_columns(prompt)
            other = pl.col("code") != pl.col("prompt")
            wanted = pl.format("{} as in the prompt", "prompt")
        says = pl.format("{} with confidence {}, wanted {}", "code", "confidence", wanted)
        return found.select(pl.when(pl.col("sure") & other).then(says)).to_series()

    def _detected(self, texts: pl.Series) -> pl.DataFrame:
        """`code`, `confidence` and whether that is `sure`, a row a text."""
        identifier = _identifier(tuple(sorted(self.config.among)))
        rows = [identifier.classify(text) for text in texts]
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
def _identifier(among: tuple[str, ...]) -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise ConfigError(
            "the filter language needs py3langid",
            "Install the extra: pip install prefdata[language]",
        ) from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))
    return identifier
