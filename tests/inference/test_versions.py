"""What answered the calls that a memo keeps."""

from __future__ import annotations

from pathlib import Path

from prefdata.inference import Memo
from prefdata.inference.versions import locate_versions, read_versions

MODEL = "0123456789abcdef" * 2


def test_each_description_is_kept_once_beside_the_segments(tmp_path: Path) -> None:
    memo = str(tmp_path)
    assert read_versions(memo, MODEL) == []
    for threads in ("2", "8", "2"):
        Memo(memo).note_versions(MODEL, {"torch": "2.13.0", "threads": threads})
    assert read_versions(memo, MODEL) == [
        {"threads": "2", "torch": "2.13.0"},
        {"threads": "8", "torch": "2.13.0"},
    ]
    assert len(list(Path(locate_versions(memo, MODEL)).iterdir())) == 2
    assert read_versions(memo, "f" * 32) == []
