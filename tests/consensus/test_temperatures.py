"""The file of temperatures: written, read back, applied, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prefdata.consensus.calibration import fit_temperature, temper
from prefdata.consensus.temperatures import (
    Calibration,
    apply_temperatures,
    load_temperatures,
    save_calibration,
)
from prefdata.errors import ConfigError


def test_a_file_of_temperatures_is_read_back_and_applied(tmp_path: Path) -> None:
    path = str(tmp_path / "calibration.json")
    found = fit_temperature(np.array([0.9, 0.9, 0.1]), np.array([1.0, 0.0, 0.0]))
    save_calibration(path, Calibration(judges={"one": found}))
    temperatures = load_temperatures(path, "consensus.calibration")
    assert temperatures == {"one": found.temperature}
    rows = pl.DataFrame({"judge": ["one", "two", "one"], "preference": [0.9, 0.9, None]})
    one, two, none = apply_temperatures(rows, temperatures)["preference"]
    assert one == pytest.approx(temper(np.array([0.9]), found.temperature)[0])
    assert two == 0.9
    assert none is None


@pytest.mark.parametrize("content", [None, b"{}", b"\xff"], ids=["missing", "empty", "no JSON"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"calibration\.json"):
        load_temperatures(str(path), "consensus.calibration")
