"""A prompt's story as blocks of text: its responses, each comparison, and where each ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prefdata.lineage.story import Story, ToldComparison, ToldPair, ToldResponse
from prefdata.records import Dropped, Judgment
from prefdata.records.judgment import HELPFULNESS
from prefdata.reports.base import Block, Grid
from prefdata.reports.dataset.passages import Passage

LONGEST = 400
"""The characters of a text that are shown, unless all are wanted."""
_ID = 8
"""The characters of an id that are shown."""


class StoryTeller:
    """Tells a story in blocks.

    Args:
        story: The story.
        texts: The prompt's text and the responses', by their ids.
        models: The names of models, by their fingerprints.
        filters: The filters that pairs had to pass, in their order.
        full: Whether texts are shown whole.
    """

    def __init__(
        self,
        story: Story,
        texts: Mapping[str, str],
        models: Mapping[str, str],
        filters: Sequence[str],
        full: bool,
    ) -> None:
        self._story, self._texts, self._models = story, texts, models
        self._filters, self._full = filters, full
        self._numbers = {
            each.response.response_id: f"[{place}]" for place, each in enumerate(story.responses, 1)
        }

    def tell(self, pair_id: str | None) -> Iterator[Block]:
        """The whole story; of comparisons, that of the pair alone where one is named."""
        story = self._story
        if story.prompt:
            prompt = story.prompt
            yield Passage(
                f"prompt {story.prompt_id}, {prompt.split}, from {prompt.source}, {prompt.origin}",
                self._cut(self._texts.get(story.prompt_id, "")),
            )
        else:
            yield f"prompt {story.prompt_id or 'of no id'}: not in data/prompts"
        for told in story.responses:
            title = f"{self._number(told.response.response_id)} {_describe_response(told)}"
            model = self._models.get(told.response.model)
            made = f"{title}, model {model} {told.response.model[:_ID]}" if model else title
            yield Passage(made, self._cut(self._texts.get(told.response.response_id, "")))
        own = [c for c in story.comparisons if c.pair and c.pair.pair.pair_id == pair_id]
        told_comparisons = own or sorted(story.comparisons, key=_order)
        for comparison in told_comparisons:
            yield from self._tell_comparison(comparison)
        if len(told_comparisons) < len(story.comparisons):
            others = len(story.comparisons) - len(told_comparisons)
            yield f"{others:,} other comparisons: prefdata explain {story.prompt_id}"
        if story.dropped:
            yield "\n".join(["dropped", *(f"  {_describe_drop(each)}" for each in story.dropped)])
        if story.rows:
            places = sorted({f"{row.export}/{row.split}: {row.path}" for row in story.rows})
            yield "\n".join(["other rows of the dataset", *(f"  {place}" for place in places)])
        if story.absent:
            yield f"no such tables: {', '.join(story.absent)}"

    def _tell_comparison(self, comparison: ToldComparison) -> Iterator[Block]:
        sides = (comparison.response_a, comparison.response_b)
        a, b = map(self._number, sides)
        lines = list(self._describe_outcome(comparison))
        yield Passage(f"{a} or {b}", "\n".join(lines))
        if comparison.judgments:
            yield _tabulate_judgments(comparison.judgments, a, b)
        for each in comparison.judgments:
            if each.trace:
                yield Passage(f"{_name_speaker(each)} wrote", self._cut(each.trace), depth=1)

    def _describe_outcome(self, comparison: ToldComparison) -> Iterator[str]:
        label, told = comparison.label, comparison.pair
        if label:
            sides = (comparison.response_a, comparison.response_b)
            sure = max(label.preference, 1 - label.preference)
            better = self._number(sides[label.preference < 0.5])
            flag = f", {label.flag}" if label.flag else ""
            yield f"label: {better} is better, {sure:.3g}; agreement {label.agreement:.3g}{flag}"
        for each in comparison.ches:
            one, other = map(self._number, (each.chosen_id, each.rejected_id))
            normalized = f"{each.ches_normalized:.4g} normalised"
            yield f"CHES of {one} over {other}: {each.ches:.4g}, {normalized}"
        if told:
            yield from self._describe_pair(told)
        for drop in comparison.dropped:
            yield f"dropped by {_describe_drop(drop)}"
        if told and told.rows:
            places = [f"{row.export}/{row.split} ({row.path})" for row in told.rows]
            yield f"in the dataset: {', '.join(places)}"
        elif not comparison.dropped:
            yield "in no row of the dataset that names its pair" if told else "it became no pair"

    def _describe_pair(self, told: ToldPair) -> Iterator[str]:
        pair = told.pair
        chosen, rejected = map(self._number, (pair.chosen_id, pair.rejected_id))
        yield (
            f"pair {pair.pair_id} by {pair.strategy}: {chosen} chosen, {rejected} rejected, "
            f"soft_label {pair.soft_label:.3g}"
        )
        if told.augmented:
            figures = {
                name: getattr(told.augmented, name)
                for name in ("reward_chosen", "reward_rejected", "margin", "weight", "beta_scale",
                             "target_margin", "implicit_margin")
            }  # fmt: skip
            shown = [f"{name} {value:.4g}" for name, value in figures.items() if value is not None]
            if shown:
                yield f"augmented: {', '.join(shown)}"
            if told.augmented.rationale_specific or told.augmented.rationale:
                written = told.augmented.rationale_specific or told.augmented.rationale or ""
                yield f"rationale by {told.augmented.rationale_author}: {self._cut(written)}"
        if told.filtered:
            found = {
                name: getattr(told.filtered, name)
                for name in ("ches", "ches_normalized", "similarity", "cosine_similarity")
            }
            shown = [f"{name} {value:.4g}" for name, value in found.items() if value is not None]
            passed = (
                f"passed {', '.join(self._filters)}" if self._filters else "passed every filter"
            )
            yield "; ".join([passed, *shown])

    def _number(self, response_id: str) -> str:
        return self._numbers.get(response_id, response_id[:_ID])

    def _cut(self, text: str) -> str:
        if self._full or len(text) <= LONGEST:
            return text
        return f"{text[:LONGEST].rstrip()} … ({len(text) - LONGEST:,} more characters: --full)"


def _order(comparison: ToldComparison) -> tuple[bool, bool]:
    """Pairs first, those of the dataset before the others."""
    told = comparison.pair
    return (told is None, not (told and told.rows))


def _describe_response(told: ToldResponse) -> str:
    """Who wrote a response, and how."""
    response = told.response
    parts = [f"response {response.response_id}", f"by {response.policy}"]
    if response.sample_index is not None:
        parts.append(f"sample {response.sample_index}")
    if told.seed is not None:
        parts.append(f"seed {told.seed}")
    if response.revised_from:
        parts.append(f"revised from {response.revised_from[:_ID]}")
    if response.n_tokens is not None:
        parts.append(f"{response.n_tokens:,} tokens")
    if response.finish_reason == "length":
        parts.append("cut off")
    if response.thoughts:
        parts.append("with thoughts")
    return ", ".join(parts)


def _name_speaker(judgment: Judgment) -> str:
    by = f" ({judgment.annotator})" if judgment.annotator else ""
    dimension = "" if judgment.dimension == HELPFULNESS else f", {judgment.dimension}"
    return f"{judgment.judge}{by}{dimension}"


def _tabulate_judgments(judgments: Sequence[Judgment], a: str, b: str) -> Grid:
    rows = [
        (
            _name_speaker(each),
            *map(_format, (each.preference, each.forward, each.reverse)),
            *map(_format, (each.reward_a, each.reward_b)),
            each.unscored or "",
        )
        for each in judgments
    ]
    head = ("judge", f"P({a} better)", f"{a} first", f"{b} first", f"reward {a}", f"reward {b}")
    return Grid((*head, "unscored"), rows, range(1, 6))


def _describe_drop(drop: Dropped) -> str:
    fault = " (at fault)" if drop.fault else ""
    return f"{drop.stage}: {drop.reason}{fault}: {drop.detail}"


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
