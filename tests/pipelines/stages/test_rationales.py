"""Rationales in a flow: what falls out is counted, the pairs stay, and nothing is asked twice."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import flows
import orjson
import polars as pl
import pytest

from prefdata.asking.delimiters import disarm
from prefdata.config import load_params
from prefdata.dataset.manifest import read_manifest
from prefdata.engines import scripted
from prefdata.engines.scripted import ScriptedEngine
from prefdata.pipelines.stages.registry import STAGES
from prefdata.reports.funnel import report_funnel
from prefdata.reports.render import format_text
from prefdata.tables.catalog import TABLES

BLOCK = re.compile(r"(?s)\[Response that is (better|worse) \w+\]\n(.*?)\n\[End of response that")
CHECKED = re.compile(
    r"(?s)\[Response A \w+\]\n(.*?)\n\[End .*\[Rationale \w+\]\n(.*?)\n\[End of rationale"
)
ROWS = 90
COLUMNS = ("rationale", "rationale_specific")


def is_wrong(better: str) -> bool:
    """Whether the writer praises the other response than this, the better one."""
    return zlib.crc32(better.encode()) % 3 == 0


class Reasoning(ScriptedEngine):
    """A writer that is wrong in known cases, and a judge that believes what it reads."""

    def _replace_scripted(self, batch: pl.DataFrame, texts: list[str]) -> list[str]:
        contents = [turns[0]["content"] for turns in batch["messages"].to_list()]
        return [self._reply(content) for content in contents]

    def _reply(self, content: str) -> str:
        if self.name == "judge":
            a, rationale = CHECKED.findall(content)[0]
            return "A" if f"«{a}»" in rationale else "B"
        said = dict(BLOCK.findall(content))
        praised = said["worse" if is_wrong(said["better"]) else "better"]
        return f"The better response is better because of: «{praised}»"


@pytest.fixture
def flow(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, and with pairs of the demo."""
    monkeypatch.setattr(scripted, "ScriptedEngine", Reasoning)
    with gzip.open(root / "demo" / "data" / "preferences.jsonl.gz") as file:
        rows = [next(file) for _ in range(ROWS)]
    (tmp_path / "pairs.jsonl").write_bytes(b"".join(rows))
    failing = orjson.loads(rows[0])["prompt"][0]["content"]
    scripts = {"responses": {"any": "thing"}}
    rationales = {"kind": "rationales", "model": "writer",
                  "check": {"model": "judge", "verdict": "choice"}}  # fmt: skip
    flows.write_params(
        tmp_path,
        models={
            "writer": {"engine": "scripted", "model": "writer", "prices": {"input_per_million": 1},
                       "options": {**scripts, "fail": [failing]}},
            "judge": {"engine": "scripted", "model": "judge", "options": scripts},
        },
        ingest={"sources": [{"kind": "preferences", "path": str(tmp_path / "pairs.jsonl")}]},
        generate={"n": 0},
        judge={"judges": [{"kind": "human", "annotations": "ranking"}], "max_faulty_fraction": 1},
        consensus={"kind": "mean", "min_judgments": 1, "max_faulty_fraction": 1},
        ches=None,
        augment={"augmentations": [{"kind": "rewards"}, rationales]},
        filter=None,
    )  # fmt: skip
    return tmp_path


def test_exactly_the_wrong_rationales_fall_out_and_every_pair_stays(flow: Path) -> None:
    params = load_params(flow / "params.yaml")
    stats = flows.run(params)["augment"]
    pairs = flows.read(flow, "augmented")
    assert pairs.height == flows.read(flow, "pairs").height > 20
    texts = flows.read(flow, "responses").select("response_id", better=disarm(pl.col("text")))
    known = pairs.join(texts, left_on="chosen_id", right_on="response_id").with_columns(
        wrong=pl.col("better").map_elements(is_wrong, pl.Boolean)
    )
    (failing,) = flows.read(flow, "dropped/augment").filter("fault")["origin"].unique()
    right = known.filter(pl.col("wrong").not_(), pl.col("prompt_id") != failing)
    wrong = known.filter(pl.col("wrong"), pl.col("prompt_id") != failing)
    assert min(right.height, wrong.height) > 5
    for column in (*COLUMNS, "rationale_author"):
        assert set(pairs.drop_nulls(column)["pair_id"]) == set(right["pair_id"])

    dropped = flows.read(flow, "dropped/augment")
    lost = {(r["pair_id"], r["column"]) for r in map(orjson.loads, dropped["record"])}
    assert len(lost) == dropped.height
    others = [*wrong["pair_id"], *known.filter(prompt_id=failing)["pair_id"]]
    assert lost == {(pair, column) for pair in others for column in COLUMNS}
    assert dropped.group_by("reason", "fault").len().sort("reason").rows() == [
        ("model_error", True, 2),
        ("not_recovered", False, 2 * wrong.height),
    ]
    assert (stats.rows_in, stats.rows_out, stats.dropped) == (pairs.height, pairs.height, {})
    # A pair is one fault, however many of its values are.
    assert stats.faults == 1
    assert stats.dropped_values == {
        f"{column}: {reason}": count
        for column in COLUMNS
        for reason, count in (("model_error", 1), ("not_recovered", wrong.height))
    }
    assert set(stats.usage) == {"generate judge", "generate writer"}
    assert stats.usage["generate writer"].requests == 4 * pairs.height

    funnel = report_funnel(params, STAGES, TABLES, {})
    counted = f"rationale: model_error 1, rationale: not_recovered {wrong.height}, rationale_spec"
    assert f"augment dropped values of pairs that stay: {counted}" in format_text(funnel)
    assert funnel.stages["augment"].models["generate writer"].cost
    published = flows.read(flow, "dataset")
    assert published["rationale"].count() == published["rationale_author"].count() == right.height
    entries = {entry.stage: entry for entry in read_manifest(str(flow / "data/dataset")).stages}
    assert entries["augment"].dropped_values == stats.dropped_values

    before = flows.hash_files(flow, "augmented", "dropped")
    usage = flows.run(params, "augment")["augment"].usage
    # A failure is no result: it is asked again.
    assert {call: used.requests - used.cached for call, used in usage.items()} == {
        "generate judge": 0,
        "generate writer": 4,
    }
    assert flows.hash_files(flow, "augmented", "dropped") == before
