"""A ground_truth goes from the source's row to the verifier, and is shown to no model."""

from __future__ import annotations

from pathlib import Path

import flows
import orjson
import polars as pl
import pytest

from prefdata.config import Params
from prefdata.engines.scripted import ScriptedEngine
from prefdata.pipelines.stages.registry import STAGES


def verified(folder: Path) -> Params:
    rows = [{"prompt": f"Question {n}: 9 * {n}?", "answer": f"so\n#### {9 * n}"} for n in range(8)]
    (folder / "prompts.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    source = {"path": str(folder / "prompts.jsonl"), "ground_truth_field": "response"}
    written = flows.params(
        folder,
        judge={"judges": [{"kind": "math_answer"}], "consensus": {"kind": "mean"}},
        ingest={"sources": [source], "max_faulty_fraction": 1},
    )
    (folder / "prompts.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return written


def test_answers_are_checked_against_the_rows_own_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    plain = ScriptedEngine.generate

    def solving(self: ScriptedEngine, rows: pl.DataFrame, settings: object) -> object:
        shown.append(orjson.dumps(rows["messages"].to_list()).decode())
        number = pl.col("messages").list.first().struct.field("content")
        number = number.str.extract(r"\* (\d+)").cast(pl.Int64)
        # The first two samples are right, the others one too many.
        responses = rows.select("key", said=9 * number + (pl.col("sample_index") > 1).cast(pl.Int64))
        for frame in plain(self, rows, settings):
            found = frame.join(responses, on="key", maintain_order="left")
            mark = found["key"].bin.encode("hex")
            text = pl.format("Attempt {}: the response is {}.", mark, "said")
            yield found.with_columns(text=text).drop("said")

    monkeypatch.setattr(ScriptedEngine, "generate", solving)
    params = verified(tmp_path)
    for stage in ("ingest", "generate", "judge", "pair"):
        STAGES[stage](params, [], True)
    assert shown
    assert "####" not in "".join(shown)
    read = {
        name: pl.read_parquet(tmp_path / "data" / name / "*.parquet")
        for name in ("prompts", "responses", "judgments", "pairs")
    }
    assert read["prompts"]["ground_truth"].str.starts_with("so\n#### ").all()
    said = read["judgments"].filter(pl.col("judge") == "math_answer")
    assert said.height == 8 * 6
    assert said["unscored"].null_count() == said.height
    index = dict(read["responses"].select("response_id", "sample_index").iter_rows())
    for side in ("a", "b"):
        right = said[f"response_{side}"].replace_strict(index) < 2
        assert (said[f"score_{side}"] == right.cast(pl.Float64)).all()
    assert read["pairs"].height == 8
