"""Full disks and folders that can't be written: an error with its remedy, nothing half-done."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import flows
import orjson
import pytest

from prefdata.cli import app as cli
from prefdata.errors import StorageError
from prefdata.files import storage


def mount(*arguments: str) -> None:
    """Mount, or skip the test where that is not permitted."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=20)
    except OSError as error:
        pytest.skip(f"needs a file system of its own, and there is no mount here: {error}")
    if done.returncode:
        pytest.skip(f"needs a file system of its own, and may not mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 96 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


def remount(disk: Path, options: str) -> None:
    mount("-o", f"remount,{options}", str(disk))


def write_flow_on(disk: Path, folder: Path) -> str:
    """A flow whose tables lie on the disk and hold about 300 kB that can't be compressed."""
    numbers = random.Random(1)
    rows = [{"prompt": numbers.randbytes(6_000).hex()} for _ in range(50)]
    (folder / "prompts.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    return str(flows.write_params(folder, data=str(disk / "data"), memo=None))


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_stops_the_write_and_keeps_the_old_file(disk: Path) -> None:
    path = disk / "a.bin"
    storage.write_bytes(str(path), b"old")
    with pytest.raises(StorageError) as caught:
        storage.write_bytes(str(path), bytes(200_000))
    assert str(path) in caught.value.problem
    assert "No space left on device" in caught.value.problem
    assert caught.value.remedy.startswith("Free disk space, or set `data`")
    assert path.read_bytes() == b"old"
    assert list_files(disk) == ["a.bin"]


def test_a_full_disk_stops_the_stage_and_with_more_space_it_goes_on(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = write_flow_on(disk, tmp_path)
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("prefdata ingest: ")
    assert "No space left on device" in said
    assert "remedy: Free disk space, or set `data` to a folder on another disk" in said
    assert "Traceback" not in said
    assert not [name for name in list_files(disk) if name.endswith(".tmp") or name == "_table.json"]

    remount(disk, "size=8m")
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 0
    assert len(list((disk / "data" / "prompts").glob("*.parquet"))) == 2
    assert (disk / "data" / "prompts" / "_table.json").exists()


def test_a_read_only_disk_stops_the_stage_before_any_work(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = write_flow_on(disk, tmp_path)
    remount(disk, "ro")
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 1
    said = capsys.readouterr().err
    assert str(disk / "data") in said
    assert "Read-only file system" in said
    assert "remedy: The file system is read-only: set `data` to a folder that can be" in said
    assert list_files(disk) == []


def test_a_disk_that_turns_read_only_keeps_its_files(disk: Path) -> None:
    path = disk / "a.bin"
    storage.write_bytes(str(path), b"old")
    remount(disk, "ro")
    for change in (
        lambda: storage.write_bytes(str(path), b"new"),
        lambda: storage.remove(str(path)),
    ):
        with pytest.raises(StorageError, match="Read-only file system") as caught:
            change()
        assert "The file system is read-only" in caught.value.remedy
    assert storage.read_bytes(str(path)) == b"old"
    assert list_files(disk) == ["a.bin"]


@contextmanager
def without_root() -> Iterator[None]:
    """As a user whom permissions bind; root passes them all."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that everyone can enter and nobody can write; not below pytest's private ones."""
    with tempfile.TemporaryDirectory() as outer:
        Path(outer).chmod(0o755)
        folder = Path(outer, "closed")
        folder.mkdir()
        (folder / "old.bin").write_bytes(b"old")
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_folder_without_permission_is_refused_before_any_work(closed: Path) -> None:
    for write in (
        lambda: storage.make_folder(str(closed)),
        lambda: storage.make_folder(str(closed / "new")),
        lambda: storage.write_bytes(str(closed / "a.bin"), b"x"),
        lambda: storage.remove(str(closed / "old.bin")),
    ):
        with without_root(), pytest.raises(StorageError, match="Permission denied") as caught:
            write()
        assert str(closed) in caught.value.problem
        assert caught.value.remedy == "Make the folder writable, or set `data` to another one."
    assert list_files(closed) == ["old.bin"]


def test_a_file_without_permission_is_not_taken_for_a_missing_one(closed: Path) -> None:
    (closed / "old.bin").chmod(0)
    with without_root(), pytest.raises(StorageError, match=r"old\.bin: can't be read"):
        storage.read_bytes(str(closed / "old.bin"))


@pytest.mark.parametrize("place", ["data", "data/prompts", "data/dropped", "data/stats"])
def test_a_file_where_a_folder_belongs_stops_the_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    flows.write_prompts(tmp_path, 4)
    params = str(flows.write_params(tmp_path))
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 1
    said = capsys.readouterr().err
    assert str(file) in said
    assert "remedy: A file stands where a folder is needed: move it" in said
    assert file.read_text() == "mine"
    assert "_table.json" not in list_files(tmp_path)


def test_the_error_says_nothing_of_beams_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.write_prompts(tmp_path, 4)
    params = str(flows.write_params(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stats").write_text("mine")
    assert cli.main(["ingest", "--params", params, "--quiet"]) == 1
    assert "[while running" not in capsys.readouterr().err


def test_a_file_in_place_of_the_data_folder_is_named_and_has_no_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.write_prompts(tmp_path, 4)
    params = str(flows.write_params(tmp_path))
    (tmp_path / "data").write_text("mine")
    assert cli.main(["generate", "--params", params, "--quiet"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"prefdata generate: {tmp_path}/data: can't be written")
    assert "A file stands where a folder is needed" in said
    assert cli.main(["status", "--params", params]) == 0
    assert (tmp_path / "data").read_text() == "mine"
