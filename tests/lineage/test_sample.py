"""What is drawn is drawn by its content: the same every time, and only what fits."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from dataset.difference.test_diff import PAIRS
from dataset.published import publish

from prefdata.dataset.manifest import Manifest, read_manifest
from prefdata.errors import ConfigError
from prefdata.lineage.sample import Wanted, draw_dropped, draw_pairs
from prefdata.statistics.odds import log_odds

STORED = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    """A version whose pairs have margins from 0 to 19."""
    rows = PAIRS.with_columns(margin=pl.int_range(pl.len()).cast(pl.Float64))
    folder = str(publish(tmp_path_factory.mktemp("drawn"), rows))
    return folder, read_manifest(folder)


def draw(
    version: tuple[str, Manifest], count: int = 99, seed: int = 0, **wanted: object
) -> pl.DataFrame:
    return draw_pairs(*version, Wanted(**wanted), count, seed)  # type: ignore[arg-type]


def test_a_draw_is_the_same_every_time_and_the_beginning_of_a_larger_one(
    version: tuple[str, Manifest],
) -> None:
    few, many = draw(version, 3), draw(version, 9)
    assert few.equals(many.head(3))
    assert draw(version, 3).equals(few)
    assert not draw(version, 3, seed=1).equals(few)
    assert draw(version)["pair_id"].sort().equals(PAIRS["pair_id"].sort())


def test_only_what_fits_is_drawn(version: tuple[str, Manifest]) -> None:
    assert set(draw(version, min_margin=5, max_margin=7)["margin"]) == {5, 6, 7}
    assert set(draw(version, split="test")["split"]) == {"test"}
    assert draw(version, source="elsewhere").is_empty()
    assert draw(version, source="tests").height == PAIRS.height
    # By the judge's own margin: in its rewards, or in log-odds where it gives none.
    assert set(draw(version, judge="rm")["margin"]) == {1}
    (odds,) = set(draw(version, judge="human")["margin"])
    assert odds == pytest.approx(pl.select(log_odds(pl.lit(1.0))).item())
    assert draw(version, judge="nobody").is_empty()


def test_a_version_without_pairs_is_refused(tmp_path: Path) -> None:
    folder = str(publish(tmp_path, PAIRS, kind="openai"))
    with pytest.raises(ConfigError, match="no form of the version has pairs"):
        draw((folder, read_manifest(folder)))


def test_dropped_records_are_drawn_with_their_source_and_split() -> None:
    data = str(STORED / "schema_2/data")
    drawn = draw_dropped(data, Wanted(), 5, 0)
    assert drawn.height == 5
    assert draw_dropped(data, Wanted(), 99, 0).head(5).equals(drawn)
    assert set(drawn["split"]) <= {"train", "test"}
    (one,) = draw_dropped(data, Wanted(reason="high_ches_normalized"), 5, 0).to_dicts()
    assert (one["stage"], one["source"]) == ("filter", "ratings.jsonl")
    assert draw_dropped(data, Wanted(reason="high_ches_normalized", split="test"), 5, 0).is_empty()
    assert draw_dropped(data, Wanted(judge="nobody"), 5, 0).is_empty()
