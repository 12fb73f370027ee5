"""A version is verified: whatever is wrong with it is found and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from dataset.exports.given import SETTINGS, make_bucket
from dataset.published import make_pairs, publish
from tables.test_migrations import EARLIER, STORED

from prefdata.cli.app import main
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.verification.version import verify
from prefdata.records import Preference
from prefdata.tables.write import encode

PAIRS = make_pairs(20)
SHARD = "trl/train-00001-of-00002.parquet"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dataset."""
    folder = tmp_path_factory.mktemp("dataset")
    publish(folder, PAIRS)
    return folder


@pytest.fixture
def version(original: Path, tmp_path: Path) -> Path:
    """A copy of it; the folder of its only version."""
    shutil.copytree(original, tmp_path / "dataset")
    return next((tmp_path / "dataset/versions").iterdir())


def find(folder: Path, max_similarity: float = 0.8) -> dict[str, list[str]]:
    """What each check that found something found."""
    checks = verify(str(folder), max_similarity)[2]
    return {check.name: check.named for check in checks if check.count}


def change_manifest(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest, and mark it as completed."""
    manifest = json.loads((version / "manifest.json").read_text())
    change(manifest)
    content = json.dumps(manifest).encode()
    (version / "manifest.json").write_bytes(content)
    (version / "COMPLETED").write_text(hashlib.sha256(content).hexdigest())


def rewrite(version: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Change the rows of SHARD, and put right its digest in the manifest; the rows as they were."""
    path = version / SHARD
    rows = pl.read_parquet(path)
    path.write_bytes(encode(Preference, change(rows), SHARD))

    def put_right(manifest: dict[str, Any]) -> None:
        entry = next(f for f in manifest["exports"]["trl"]["files"] if f["path"] == SHARD)
        content = path.read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    change_manifest(version, put_right)
    return rows


def replace(column: str, value: Any, row: int = 2) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change of one value; `value` is an expression."""
    at = pl.int_range(pl.len()) == row
    return lambda rows: rows.with_columns(pl.when(at).then(value).otherwise(column).alias(column))


def exchange(rows: pl.DataFrame) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == 2
    sides = (("chosen", "rejected"), ("rejected", "chosen"))
    return rows.with_columns(pl.when(at).then(a).otherwise(b).alias(b) for a, b in sides)


def test_a_sound_dataset_is_sound_by_folder_and_by_version(
    version: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = version.parent.parent
    (folder / ".gitattributes").write_text("")
    for path in (folder, version):
        assert main(["verify", str(path), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["sound"]
        assert report["folder"] == str(version)
        assert report["checks"]["splits"]["looked_at"] == "4 prompts in test, 16 prompts in train"
        assert report["checks"]["pairs"]["looked_at"] == "20 rows"
    copy = version.parent.parent.parent / "copy"
    shutil.copytree(version, copy)
    assert find(copy) == {}


def flip_byte(version: Path) -> None:
    content = bytearray((version / SHARD).read_bytes())
    content[len(content) // 2] ^= 1
    (version / SHARD).write_bytes(content)


def flip_in_manifest(version: Path) -> None:
    text = (version / "manifest.json").read_text()
    (version / "manifest.json").write_text(text.replace('"name": "tests"', '"name": "tasts"'))


def lose_rows(manifest: dict[str, Any]) -> None:
    manifest["stages"][0]["rows_out"] -= 1
    manifest["exports"]["trl"]["dropped"] = {"odd": 3}
    manifest["exports"]["trl"]["splits"]["train"] = 15


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a flipped byte": (flip_byte, "files", f"{SHARD}: damaged"),
    "a missing file": (lambda v: (v / SHARD).unlink(), "files", f"{SHARD}: missing"),
    "a missing card": (lambda v: (v / "README.md").unlink(), "files", "README.md: missing"),
    "an extra file": (
        lambda v: shutil.copy(v / SHARD, v / "trl/train-00009-of-00002.parquet"),
        "files",
        "trl/train-00009-of-00002.parquet: extra",
    ),
    "an extra version": (
        lambda v: shutil.copytree(v, v.parent / "other"),
        "files",
        "versions/other: extra",
    ),
    "no mark": (lambda v: (v / "COMPLETED").unlink(), "manifest", "COMPLETED: missing"),
    "no manifest": (lambda v: (v / "manifest.json").unlink(), "manifest", "manifest.json: missing"),
    "a damaged manifest": (flip_in_manifest, "manifest", "manifest.json: damaged"),
    "a manifest put right": (
        lambda v: change_manifest(v, lambda m: m.update(name="tasts")),
        "manifest",
        "the folder is called",
    ),
    "lost rows": (
        lambda v: change_manifest(v, lose_rows),
        "counts",
        "stage pair: 22 comparisons in, but 19 out and 2 dropped",
    ),
    "rows put away": (
        lambda v: rewrite(v, lambda rows: rows[1:]),
        "counts",
        f"{SHARD}: 7 rows, the manifest says 8",
    ),
    "no Parquet": (
        lambda v: rewrite(v, lambda rows: rows) is None or overwrite(v, b"PAR1"),
        "schema",
        f"{SHARD}: can't be read",
    ),
    "another column": (
        lambda v: overwrite(v, rename(v)),
        "schema",
        f"{SHARD}: its columns are not those of the manifest: ches, kisses",
    ),
    "another text": (
        lambda v: rewrite(v, replace("source", pl.lit("elsewhere"))),
        "rows",
        f"{SHARD}: its rows are not those that were exported",
    ),
    "a tie": (lambda v: rewrite(v, replace("soft_label", 0.5)), "pairs", "a tie"),
    "a label for the other side": (
        lambda v: rewrite(v, replace("soft_label", 0.2)),
        "pairs",
        "it prefers the rejected response",
    ),
    "equal sides": (
        lambda v: rewrite(v, replace("chosen", pl.col("rejected"))),
        "pairs",
        "chosen and rejected are equal",
    ),
    "a repeated pair": (
        lambda v: rewrite(v, lambda rows: pl.concat([rows[:-1], rows[:1]])),
        "pairs",
        "more than one row",
    ),
    "a prompt in both splits": (
        lambda v: rewrite(v, replace("prompt_id", pl.lit(PAIRS["prompt_id"][0]))),
        "splits",
        f"trl: prompt {PAIRS['prompt_id'][0]}: in test and in train",
    ),
}


def overwrite(version: Path, content: bytes) -> None:
    """Another content of SHARD, with its digest in the manifest."""
    (version / SHARD).write_bytes(content)

    def put_right(manifest: dict[str, Any]) -> None:
        entry = next(f for f in manifest["exports"]["trl"]["files"] if f["path"] == SHARD)
        entry["sha256"] = hashlib.sha256(content).hexdigest()

    change_manifest(version, put_right)


def rename(version: Path) -> bytes:
    import io

    sink = io.BytesIO()
    table = pq.read_table(version / SHARD)
    names = ["kisses" if name == "ches" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), sink)
    return sink.getvalue()


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_found_and_named(damage: str, version: Path) -> None:
    change, check, what = DAMAGES[damage]
    change(version)
    found = find(version.parent.parent)
    assert any(what in line for line in found[check]), found


def test_a_pair_whose_sides_were_exchanged_is_named(
    version: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rewrite(version, exchange)
    assert main(["verify", str(version)]) == 3
    printed = capsys.readouterr()
    pair = rows["pair_id"][2]
    assert f"rows: {SHARD}: pair {pair}: chosen and rejected were exchanged" in printed.out
    assert "findings\n  remedy: Restore" in printed.err


def test_near_duplicate_prompts_of_two_splits_are_named(tmp_path: Path) -> None:
    long = " ".join(f"word{n}" for n in range(60))
    texts = pl.Series([f"{long} {n}" if n in (0, 7) else f"Alone {n} {n}" for n in range(20)])
    messages = PAIRS["messages"].list.eval(pl.element())
    turn = pl.struct(
        pl.lit("user").alias("role"),
        texts.alias("content"),
        *(
            pl.lit(None, field.dtype).alias(field.name)
            for field in messages.dtype.inner.fields[2:]  # type: ignore[attr-defined]
        ),
    )
    pairs = PAIRS.with_columns(messages=pl.concat_list(turn))
    publish(tmp_path, pairs)
    found = find(tmp_path)
    one, other = pairs["prompt_id"][7], pairs["prompt_id"][0]
    assert [line.partition(": ")[2] for line in found.pop("splits")] == [
        f"prompt {one}: of trigram similarity 0.9667 to {other} of another split"
    ]
    assert found == {}
    assert find(tmp_path, max_similarity=0.99) == {}


@pytest.mark.parametrize("schema", EARLIER)
def test_a_dataset_of_an_earlier_schema_version_is_verified(schema: str) -> None:
    assert find(STORED / schema / "data/dataset") == {}


def test_a_folder_without_a_dataset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "no dataset here" in capsys.readouterr().err


@pytest.mark.parametrize("kind", EXPORTS.parts)
def test_what_is_exported_is_sound(kind: str, tmp_path: Path) -> None:
    settings = {**EXPORTS.parts[kind].config_type.example, **SETTINGS.get(kind, {})}
    publish(tmp_path, make_bucket().pairs, **settings, kind=kind)
    assert find(tmp_path) == {}
