"""The licences of sources and models, held against the dataset's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dataset.published import describe_version

from prefdata.config.params import IngestParams
from prefdata.dataset.card import render_card
from prefdata.dataset.hub.licenses import (
    Licensed,
    check_licenses,
    list_licensed,
    list_unstated,
)
from prefdata.dataset.limits import list_limits
from prefdata.dataset.manifest import Manifest
from prefdata.parts.inputs import describe_settings


def describe(
    models: dict[str, dict[str, Any]] | None = None, source: dict[str, Any] | None = None
) -> Manifest:
    """A manifest of these models and this source."""
    source = {"kind": "prompts", "path": "q.jsonl", **(source or {})}
    settings = {"models": models or {}, "ingest": {"sources": [source]}}
    return describe_version(models=dict.fromkeys(models or {}, "f"), settings=settings)


@pytest.mark.parametrize(
    ("stated", "model", "license", "expected"),
    [
        ("cc-by-4.0", "gpt-4o", None, "OpenAI's terms of use restrict"),
        ("cc-by-4.0", "org/claude-x", None, "Anthropic's commercial terms restrict"),
        ("cc-by-4.0", "meta-llama/Meta-Llama-3-8B-Instruct", None, "llama3 may not be used"),
        ("cc-by-4.0", "meta-llama/Llama-3.1-8B", None, "llama3.1 asks that a model"),
        ("cc-by-4.0", "a/b", "cc-by-nc-4.0", "cc-by-nc-4.0 is non-commercial, and cc-by-4.0 is"),
        ("cc-by-nc-4.0", "a/b", "cc-by-nc-4.0", ""),
        ("mit", "a/b", "CC-BY-SA-4.0", "CC-BY-SA-4.0 asks to share alike, and mit is another"),
        ("cc-by-sa-4.0", "a/b", "CC-BY-SA-4.0", ""),
        ("cc-by-sa-4.0", "a/b", "cc-by-nc-sa-4.0", "is non-commercial"),
        ("mit", "a/b", "cc-by-nd-4.0", "allows no derivatives"),
        ("mit", "a/b", None, "model m (a/b): its licence is not known here: set models.m.license"),
        ("mit", "openai/gpt-oss-20b", "apache-2.0", ""),
        # What is stated of this copy counts, whatever its name.
        ("mit", "claude-but-ours", "mit", ""),
        ("other", "a/b", "mit", "no licence is stated"),
    ],
)
def test_a_licence_is_held_against_the_datasets(
    stated: str, model: str, license: str | None, expected: str
) -> None:
    manifest = describe({"m": {"model": model, "license": license}}, {"license": "cc0-1.0"})
    licensed = list_licensed(manifest, read_cards=False)
    found = [*check_licenses(stated, licensed), *list_unstated(stated, licensed)]
    several = license == "cc-by-nc-sa-4.0"
    assert len(found) == (0 if not expected else 2 if several else 1)
    assert expected in " ".join(found)
    # They are hints, and the card has those that concern its readers.
    card = render_card(manifest, stated, {})
    assert ("no legal advice" in card) == bool(list(check_licenses(stated, licensed)))
    assert "models.m.license" not in card


def test_a_models_folder_says_its_licence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# A model\n")
    manifest = describe({"m": {"model": str(tmp_path)}}, {"license": "mit"})
    assert list_licensed(manifest, read_cards=True)[1].license == "cc-by-nc-4.0"
    # A card that is made where the folder is must not differ from one made elsewhere.
    assert list_licensed(manifest, read_cards=False)[1] == Licensed(
        what=f"model m ({tmp_path.name})", setting="models.m.license", license=None
    )
    (tmp_path / "README.md").write_text("---\nlicense: [a\n---\n")
    assert list_licensed(manifest, read_cards=True)[1].license is None


def test_a_licence_makes_nothing_anew() -> None:
    def describe_source(**more: str) -> object:
        return describe_settings(IngestParams(sources=[{"path": "q.jsonl", **more}]))

    assert describe_source(license="mit") == describe_source()


def test_limits_are_those_of_the_figures() -> None:
    settings = {
        "judge": {"judges": [{"kind": "pairwise"}]},
        "filter": {"filters": [{"kind": "personal_data"}]},
    }
    audit = {"j": {"flips": 0.5, "prefers_longer": 0.8, "prefers_longer_matched": None}}
    manifest = describe_version(settings=settings, judges=["j"], audit=audit)
    found = " ".join(list_limits(manifest))
    for part in ("No person", "One judge alone", "50% of its verdicts turn", "longer response 80%"):
        assert part in found
    assert "contamination" in found
    assert "personal data" not in found
    settings["judge"]["judges"][0]["kind"] = "human"
    fair = {"j": {"flips": 0.1, "prefers_longer": 0.5}, "k": {"flips": None}}
    manifest = describe_version(settings=settings, judges=["j", "k"], audit=fair)
    found = " ".join(list_limits(manifest))
    assert not any(part in found for part in ("No person", "alone", "turn with", "longer"))
