"""The report of `prefdata diff`: what differs between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import Field

from prefdata.accounting.drops import MOST_SOURCES, OTHERS
from prefdata.accounting.probe import Probe
from prefdata.dataset.difference.drift import Changes, JudgeDrift
from prefdata.dataset.difference.pairs import KINDS, PairChanges, compare_pairs
from prefdata.dataset.difference.rows import Side, choose_exports
from prefdata.dataset.find import find_version
from prefdata.dataset.manifest import read_manifest
from prefdata.dataset.names import name_content
from prefdata.records.judgment import HELPFULNESS
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.dataset.drops import DropChange, compare_drops, tabulate_drops
from prefdata.tables.chain import find_stale

_MEANINGS = {
    "added": "in B alone",
    "removed": "in A alone",
    "flipped": "in both, chosen and rejected exchanged",
    "texts": "in both, of other texts",
    "rewards": "in both, with other rewards",
    "label": "in both, with another soft_label",
    "split": "in both, in another split",
    "id": "in both, of the same texts under another id",
}


class VersionFigures(Figures):
    """One of the two versions."""

    given: str = Field(description="As it was named.")
    folder: str
    name: str = Field(description="The version's name in words.")
    version: str = Field(description="Its content version.")
    export: str = Field(description="The export whose pairs are compared.")
    pairs: int
    prompts: int
    probe: Probe | None = Field(None, description="What a small probe learns from its pairs.")


class ChangeFigures(Figures):
    """The changes of a figure between the versions, B minus A."""

    count: int = Field(description="The values that both versions have.")
    changed: int
    mean: float | None = Field(None, description="Null: there are no values.")
    mean_absolute: float | None = None
    quantiles: dict[str, float] = Field({}, description="By share, such as 0.95.")


class JudgeChanges(Figures):
    """What changed in one judge's judgments of the pairs that both versions have."""

    judge: str
    dimension: str
    preference: ChangeFigures = Field(description="Of P(chosen ≻ rejected), chosen as in A.")
    rewards: ChangeFigures = Field(description="Of the rewards of both responses.")
    flips: int = Field(description="Verdicts that prefer the other response.")
    lost: int = Field(description="Judgments that B lacks, or has as Unscored.")
    gained: int = Field(description="Judgments that A lacks, or has as Unscored.")


class NamedPair(Figures):
    """A pair that differs."""

    prompt_id: str
    pair_id: str | None = Field(description="In A; null: it is not in it.")
    pair_id_b: str | None = Field(description="In B; null: it is not in it.")


class Difference(Report):
    """What differs between the versions A and B."""

    a: VersionFigures
    b: VersionFigures
    differs: bool = Field(description="Whether their rows or splits differ.")
    pairs: dict[str, int] = Field(
        description="By what became of them: "
        + "; ".join(f"{k}: {v}" for k, v in _MEANINGS.items())
    )
    prompts: dict[str, int] = Field(description="The prompts that are in one alone.")
    by_source: dict[str, dict[str, int]] = Field(
        description='The pairs by source; "kept": in both, not flipped.'
    )
    by_split: dict[str, dict[str, int]]
    named: dict[str, list[NamedPair]] = Field(description="The first pairs of each kind.")
    figures: dict[str, ChangeFigures] = Field(
        description="Of the pairs' soft_label and rewards, chosen as in A."
    )
    judges: list[JudgeChanges]
    drops: list[DropChange] = Field(
        description="By stage and reason; by source and split, too, where both versions say."
    )
    made_otherwise: dict[str, str] = Field(description="The stages that were set otherwise.")

    def blocks(self) -> list[Block]:
        """Who is compared, what became of the pairs, what moved, and what was dropped."""
        blocks: list[Block] = ["\n".join(self._introduce()), self._tabulate_pairs()]
        for by, counts in (("source", self.by_source), ("split", self.by_split)):
            if len(counts) > 1:
                blocks.append(_tabulate_by(by, counts))
        figures = {name: each for name, each in self.figures.items() if each.count}
        if figures:
            blocks.append(_tabulate_figures(figures))
        if self.judges:
            blocks.append(_tabulate_judges(self.judges))
        if any(each.probe and each.probe.figures for each in (self.a, self.b)):
            blocks.append("\n".join(self._describe_probes()))
        drops = [each for each in self.drops if each.a != each.b]
        if drops:
            blocks.append(tabulate_drops(drops))
        if self.made_otherwise:
            lines = [f"{stage}: {why}" for stage, why in self.made_otherwise.items()]
            blocks.append("\n".join(["made otherwise:", *(f"  {line}" for line in lines)]))
        return blocks

    def _introduce(self) -> Iterator[str]:
        for letter, each in (("A", self.a), ("B", self.b)):
            yield (
                f"{letter}: {each.folder}, version {each.name} ({each.version[:12]}): "
                f"{each.pairs:,} pairs of {each.prompts:,} prompts in {each.export}"
            )
        if not self.differs:
            yield "Their rows are the same, in the same splits."

    def _describe_probes(self) -> Iterator[str]:
        for letter, each in (("A", self.a), ("B", self.b)):
            probe = each.probe or Probe(missing="the version was written before there was one")
            yield f"{letter}, {probe.describe()}"

    def _tabulate_pairs(self) -> Grid:
        rows = []
        for kind in KINDS:
            first = self.named.get(kind, [])[:3]
            ids = ", ".join((each.pair_id or each.pair_id_b or "")[:8] for each in first)
            more = ", …" if self.pairs[kind] > len(first) else ""
            rows.append((kind, f"{self.pairs[kind]:,}", _MEANINGS[kind], f"{ids}{more}"))
        return Grid(("pairs", "number", "what", "such as"), rows, [1])


def report_difference(
    a: str, b: str, advance: Callable[[int, int], None] = lambda done, total: None
) -> Difference:
    """Compare two versions.

    Args:
        a: What names the first version; see `find_version`.
        b: What names the second version.
        advance: Told how many files of how many were read.

    Raises:
        ConfigError: There is no such version, or the two can't be compared.
        TableError: A version is damaged.
    """
    folders = [find_version(given).folder for given in (a, b)]
    manifests = [read_manifest(folder) for folder in folders]
    exports = choose_exports(*manifests)
    sides = [Side(*each) for each in zip(folders, manifests, exports, strict=True)]
    changes = compare_pairs(sides[0], sides[1], advance)
    one, other = manifests
    counts = _count_kinds(changes)
    return Difference(
        a=_describe(a, sides[0], changes.pairs[0], changes.prompts[0]),
        b=_describe(b, sides[1], changes.pairs[1], changes.prompts[1]),
        # A pair may move to another split while all rows stay what they are.
        differs=one.content_version != other.content_version or counts["split"] > 0,
        pairs=counts,
        prompts={"added": changes.prompts_added, "removed": changes.prompts_removed},
        by_source=_group(changes, "source"),
        by_split=_group(changes, "split"),
        named={
            str(kind): [NamedPair(**row) for row in rows.drop("kind").iter_rows(named=True)]
            for (kind,), rows in changes.named.partition_by(
                "kind", as_dict=True, maintain_order=True
            ).items()
        },
        figures={name: _report_changes(each) for name, each in changes.figures.items()},
        judges=[_report_judge(*key, drift) for key, drift in changes.judges.items()],
        drops=list(compare_drops(one, other)),
        made_otherwise=find_stale(one.chain, other.chain, {}),
    )


def _describe(given: str, side: Side, pairs: int, prompts: int) -> VersionFigures:
    version = side.manifest.content_version
    return VersionFigures(
        given=given,
        folder=side.folder,
        name=name_content(version),
        version=version,
        export=side.export,
        pairs=pairs,
        prompts=prompts,
        probe=side.manifest.probe,
    )


def _count_kinds(changes: PairChanges) -> dict[str, int]:
    counted = dict(changes.counts.group_by("kind").agg(rows="rows").iter_rows())
    return {kind: sum(counted.get(kind, [])) for kind in ("kept", *KINDS)}


def _group(changes: PairChanges, by: str) -> dict[str, dict[str, int]]:
    """By source or split, the largest first, then by kind."""
    found: dict[str, dict[str, int]] = {}
    for row in changes.counts.iter_rows(named=True):
        kinds = found.setdefault(row[by], dict.fromkeys(("kept", *KINDS), 0))
        kinds[row["kind"]] += row["rows"]
    ordered = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    named = dict(ordered[:MOST_SOURCES])
    for _, kinds in ordered[MOST_SOURCES:]:
        others = named.setdefault(OTHERS, dict.fromkeys(kinds, 0))
        for kind, rows in kinds.items():
            others[kind] += rows
    return named


def _report_changes(changes: Changes) -> ChangeFigures:
    return ChangeFigures.model_validate(changes.summarize())


def _report_judge(judge: str, dimension: str, drift: JudgeDrift) -> JudgeChanges:
    return JudgeChanges(
        judge=judge,
        dimension=dimension,
        preference=_report_changes(drift.preference),
        rewards=_report_changes(drift.rewards),
        flips=drift.flips,
        lost=drift.lost,
        gained=drift.gained,
    )


def _tabulate_by(by: str, counts: dict[str, dict[str, int]]) -> Grid:
    kinds = ("kept", "added", "removed", "flipped", "texts", "rewards")
    rows = [(value, *(f"{own[kind]:,}" for kind in kinds)) for value, own in counts.items()]
    return Grid((by, *kinds), rows, range(1, len(kinds) + 1))


def _tabulate_figures(figures: dict[str, ChangeFigures]) -> Grid:
    rows = [
        (name, f"{e.count:,}", f"{e.changed:,}", *map(_format, (e.mean, e.mean_absolute)),
         _format(e.quantiles.get("0.05")), _format(e.quantiles.get("0.95")))
        for name, e in figures.items()
    ]  # fmt: skip
    head = ("figure", "in both", "changed", "mean", "mean size", "5 %", "95 %")
    return Grid(head, rows, range(1, len(head)), {"mean": "of B minus A, as the quantiles"})


def _tabulate_judges(judges: list[JudgeChanges]) -> Grid:
    rows = [
        (
            each.judge if each.dimension == HELPFULNESS else f"{each.judge} ({each.dimension})",
            f"{each.preference.count:,}",
            f"{each.preference.changed:,}",
            *map(_format, (each.preference.mean, each.preference.mean_absolute)),
            _format(each.rewards.mean),
            _format(each.rewards.mean_absolute),
            f"{each.flips:,}",
            f"{each.lost:,}",
            f"{each.gained:,}",
        )
        for each in judges
    ]
    head = (
        "judge", "in both", "changed", "P", "P size", "reward", "reward size", "flips", "lost",
        "gained",
    )  # fmt: skip
    legend = {
        "P": "mean change of P(chosen ≻ rejected), B minus A; P size: mean of its absolute value",
        "flips": "verdicts that prefer the other response",
        "lost": "judgments that B lacks or has as Unscored; gained: those that A does",
    }
    return Grid(head, rows, range(1, len(head)), legend)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}" if value else "0"
