"""The figures of a version's card, from its manifest and its rows alone."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from prefdata.dataset.hub.plan import Picture
from prefdata.dataset.manifest import Manifest
from prefdata.files import storage

_DISTRIBUTIONS = {
    "soft_label": ("P(chosen ≻ rejected)", "How sure the consensus is of each pair"),
    "reward_margin": ("reward of chosen less that of rejected", "Reward margins of the pairs"),
    "ches_normalized": ("length-normalised CHES", "CHES of the pairs"),
}
"""By column: what a figure's axis says, and what the figure shows."""


def draw_pictures(folder: str, manifest: Manifest) -> Iterator[Picture]:
    """The figures, as far as the version has what they show.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from prefdata.reports.figures.distributions import draw_distribution
    from prefdata.reports.figures.drawing import require_matplotlib, write_png
    from prefdata.reports.figures.funnel import draw_drops, draw_funnel
    from prefdata.reports.figures.judges import draw_flips

    require_matplotlib()
    if manifest.stages:
        funnel = draw_funnel(manifest.stages)
        yield Picture("funnel.png", "What each stage kept and dropped", write_png(funnel))
    if any(stage.dropped for stage in manifest.stages):
        drops = draw_drops(manifest.stages)
        yield Picture("drops.png", "Why records were dropped", write_png(drops))
    audit = manifest.labels.audit
    flips = [(name, each["flips"]) for name, each in audit.items() if each.get("flips") is not None]
    if flips:
        rows = pl.DataFrame(flips, schema=["judge", "flips"], orient="row")
        caption = "The share of each judge's verdicts that the other order turns round"
        yield Picture("flips.png", caption, write_png(draw_flips(rows)))
    for column, values in _read_columns(folder, manifest).items():
        label, caption = _DISTRIBUTIONS[column]
        figure = draw_distribution({"pairs": values}, label)
        yield Picture(f"{column}.png", caption, write_png(figure))


def _read_columns(folder: str, manifest: Manifest) -> dict[str, pl.Series]:
    """The values of the first export that has them, without nulls."""
    for entry in manifest.exports.values():
        columns = [name for name in _DISTRIBUTIONS if name in entry.columns]
        paths = [file.path for file in entry.files if file.split and file.path.endswith(".parquet")]
        if columns and paths:
            contents = storage.read_many([storage.join(folder, path) for path in paths])
            frames = [pl.read_parquet(each or b"", columns=columns) for each in contents]
            rows = pl.concat(frames)
            found = {name: rows[name].drop_nulls() for name in columns}
            return {name: values for name, values in found.items() if len(values)}
    return {}
