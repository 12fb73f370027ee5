"""Verifies constraints that can be checked by rule: length, keywords, format, language."""

from __future__ import annotations

from typing import Any, Literal

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.faults import quote
from prefdata.judges.checking.verifier import Verifier
from prefdata.parts.numbers import Limit
from prefdata.text.languages import list_languages, rank_languages, require_languages


def _count(description: str) -> Any:
    return Field(None, examples=[3], description=description)


Format = Literal["json", "lowercase", "uppercase", "no_commas", "one_line", "quoted"]


class Constraints(BaseModel):
    """Constraints on a response. Words are runs of letters and digits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_chars: Limit | None = _count("The fewest characters.")
    max_chars: Limit | None = _count("The most characters.")
    min_words: Limit | None = _count("The fewest words.")
    max_words: Limit | None = _count("The most words.")
    min_sentences: Limit | None = _count("The fewest sentences.")
    max_sentences: Limit | None = _count("The most sentences.")
    min_paragraphs: Limit | None = _count("The fewest paragraphs.")
    max_paragraphs: Limit | None = _count("The most paragraphs.")
    min_bullets: Limit | None = _count("The fewest bullet points.")
    max_bullets: Limit | None = _count("The most bullet points.")
    keywords: list[str] | None = Field(
        None,
        description="Words that the response has to contain, in any case.",
        examples=[["moon"]],
    )
    forbidden: list[str] | None = Field(
        None,
        description="Words that the response must not contain, in any case.",
        examples=[["moon"]],
    )
    starts_with: str | None = Field(
        None, description="The text that the response has to begin with.", examples=["A"]
    )
    ends_with: str | None = Field(
        None, description="The text that the response has to end with.", examples=["z"]
    )
    format: list[Format] | None = Field(
        None, description="Formats that the response has to have, all of them.", examples=[["json"]]
    )
    language: str | None = Field(
        None,
        description="The ISO 639-1 code of the language that the response has to be in: the "
        "likeliest by py3langid (the extra language), which errs on a few words.",
        examples=["fr"],
    )


class ConstraintsConfig(JudgeConfig, Constraints):
    kind: Literal["constraints"] = "constraints"
    partial: bool = Field(
        False,
        description="Reward the share of the constraints that hold, instead of whether all do.",
        examples=[True],
    )


class ConstraintsJudge(Verifier):
    """Rewards a response for meeting all constraints, or for the share of them that it meets
    (IFEval, Zhou et al., arXiv 2311.07911).

    The settings hold for every prompt. A ground truth that is a JSON object of the same settings
    adds constraints for its prompt and overrides the judge's.
    """

    config: ConstraintsConfig

    def setup(self) -> None:
        if self.config.language is not None:
            require_languages([self.config.language], self.where, "the constraint language")

    @property
    def by_ground_truth(self) -> bool:
        return not self._own()

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        rows = responses.join(
            self._build_rules(responses["ground_truth"]),
            on="ground_truth",
            how="left",
            nulls_equal=True,
            maintain_order="left",
        ).with_row_index("row")
        holds = {
            **{
                f"{side}_{unit}": pl.col(f"{side}_{unit}") <= count
                if side == "min"
                else count <= pl.col(f"{side}_{unit}")
                for unit, count in _COUNTS.items()
                for side in ("min", "max")
            },
            "keywords": pl.col("keywords_found"),
            "forbidden": ~pl.col("forbidden_found"),
            "starts_with": _TEXT.str.starts_with(pl.col("starts_with")),
            "ends_with": _TEXT.str.ends_with(pl.col("ends_with")),
            "language": pl.col("spoken") == pl.col("language"),
            **{
                f"format {name}": pl.when(pl.col("format").list.contains(name)).then(met)
                for name, met in _FORMATS.items()
            },
        }
        checked = (
            rows.join(_find_words(rows, "keywords", "all"), on="row", how="left")
            .join(_find_words(rows, "forbidden", "any"), on="row", how="left")
            .join(_identify_languages(rows), on="row", how="left")
            .sort("row")
            .select("bad", **holds)
        )
        share = pl.mean_horizontal(pl.col(list(holds)).cast(pl.Float64))
        broken = pl.concat_list(
            pl.when(~pl.col(name)).then(pl.lit(name)) for name in holds
        ).list.drop_nulls()
        rewarded = checked.select(
            "bad",
            reward=share if self.config.partial else (share == 1).cast(pl.Float64),
            broken=broken.list.join(", "),
        )
        reason = pl.coalesce(
            "bad", pl.when(pl.col("reward").is_null()).then(pl.lit("no_constraints: none is set"))
        )
        return rewarded.select(
            reward=pl.when(pl.col("bad").is_null()).then("reward"),
            unscored=reason,
            trace=pl.when(pl.col("broken") == "")
            .then(pl.lit("holds to all"))
            .otherwise(pl.format("does not hold to: {}", "broken")),
        )

    def _own(self) -> dict[str, object]:
        names = set(Constraints.model_fields)
        return self.config.model_dump(include=names, exclude_none=True)

    def _build_rules(self, ground_truths: pl.Series) -> pl.DataFrame:
        """ground_truth, bad (why its constraints can't be read), and one column per constraint."""
        rows = []
        for ground_truth in ground_truths.unique(maintain_order=True):
            constraints, bad = self._parse(ground_truth)
            # If the settings have constraints, a ground truth in another form is for another judge.
            if bad is not None and self._own() and not isinstance(_parse_json(ground_truth), dict):
                bad = None
            values = {**self._own(), **constraints.model_dump(exclude_none=True)}
            rows.append({"ground_truth": ground_truth, "bad": bad, **values})
        names = ("ground_truth", "bad", "starts_with", "ends_with", "language")
        text = dict.fromkeys(names, pl.String)
        lists = dict.fromkeys(("keywords", "forbidden", "format"), pl.List(pl.String))
        counts = {f"{side}_{unit}": pl.Int64 for unit in _COUNTS for side in ("min", "max")}
        return pl.DataFrame(rows, schema={**text, **lists, **counts})

    def _parse(self, ground_truth: str | None) -> tuple[Constraints, str | None]:
        """The constraints of a ground truth, or none and the reason why they can't be read."""
        if ground_truth is None:
            return Constraints(), None
        try:
            constraints = Constraints.model_validate_json(ground_truth)
        except ValidationError as error:
            first = error.errors()[0]
            place, said = ".".join(map(str, first["loc"])) or "all of it", first["msg"]
        else:
            if constraints.language is None or self._knows(constraints.language):
                return constraints, None
            place, said = "language", f"py3langid doesn't know {constraints.language}"
        return (
            Constraints(),
            f"bad_constraints: the ground truth {quote(ground_truth)}, {place}: {said}",
        )

    def _knows(self, language: str) -> bool:
        require_languages([], self.where, "the constraint language")
        return language in list_languages()


_TEXT = pl.col("text")
_COUNTS = {
    "chars": _TEXT.str.len_chars(),
    "words": _TEXT.str.count_matches(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}'’_-]*"),
    "sentences": _TEXT.str.count_matches(r"[^\s.!?。！？][^.!?。！？]*(?:[.!?。！？]+|\z)"),
    "paragraphs": _TEXT.str.count_matches(r"(?:\A|\n[ \t]*\n)\s*\S"),
    "bullets": _TEXT.str.count_matches(r"(?m)^[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t]+\S"),
}
_FORMATS: dict[str, pl.Expr] = {
    "json": _TEXT.map_elements(
        lambda text: _parse_json(text) is not _parse_json, return_dtype=pl.Boolean
    ),
    "lowercase": _TEXT.str.to_lowercase() == _TEXT,
    "uppercase": _TEXT.str.to_uppercase() == _TEXT,
    "no_commas": ~_TEXT.str.contains(r"[,，、]"),
    "one_line": ~_TEXT.str.contains("\n", literal=True),
    "quoted": _TEXT.str.contains(r"\A(?s)[\"“].*[\"”]\z"),
}


def _find_words(rows: pl.DataFrame, column: str, how: Literal["all", "any"]) -> pl.DataFrame:
    """row, COLUMN_found: whether the text contains all or any of the row's words, as words."""
    word = pl.col(column)
    # A keyword such as "." or "C++" has a word boundary on one side or none.
    before, after = (
        pl.when(word.str.contains(edge)).then(pl.lit(r"\b")).otherwise(pl.lit(""))
        for edge in (r"\A\w", r"\w\z")
    )
    pattern = pl.concat_str(pl.lit("(?i)"), before, word.str.escape_regex(), after)
    present = (
        rows.select("row", "text", column)
        .drop_nulls(column)
        .explode(column)
        .select("row", present=pl.col("text").str.contains(pattern))
    )
    found = pl.col("present").all() if how == "all" else pl.col("present").any()
    return present.group_by("row").agg(found.alias(f"{column}_found"))


def _identify_languages(rows: pl.DataFrame) -> pl.DataFrame:
    """row, spoken: the likeliest language of each text whose language is constrained; empty where
    it has no letters."""
    constrained = rows.select("row", "text", "language").drop_nulls("language")
    constrained = constrained.with_columns(has_letters=_TEXT.str.contains(r"\p{L}"))
    spoken = [
        rank_languages(text)[0][0] if has_letters else ""
        for text, has_letters in constrained.select("text", "has_letters").iter_rows()
    ]
    return constrained.select("row", spoken=pl.Series(spoken, dtype=pl.String))


def _parse_json(text: str | None) -> Any:
    """The value of the JSON text, or `_parse_json` itself if it is not JSON: None is a value."""
    try:
        return orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return _parse_json
