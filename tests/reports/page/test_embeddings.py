"""Embeddings for the map come from the memo alone."""

from __future__ import annotations

from pathlib import Path

import flows
import polars as pl

from prefdata.engines.base import Settings
from prefdata.engines.registry import Engines
from prefdata.inference.loop import Inference
from prefdata.inference.memo import Memo
from prefdata.reports.page.embeddings import recall_embeddings


def test_only_what_the_run_asked_for_is_recalled(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 1)
    texts = pl.DataFrame({"prompt_id": ["1" * 32, "2" * 32], "text": ["one", "two"]})
    assert recall_embeddings(params, "policy", texts).height == 0
    inference = Inference(Engines(params.models), Memo(params.memo or ""))
    asked = inference.ask("policy", "embed", Settings(), texts.head(1).select("text", "prompt_id"))
    recalled = recall_embeddings(params, "policy", texts)
    assert recalled["text"].to_list() == ["one"]
    assert recalled["embedding"].to_list() == asked["embedding"].to_list()
    assert recall_embeddings(params, "reference", texts).height == 0
    assert recall_embeddings(params, "nobody", texts).columns == [*texts.columns, "embedding"]
