"""`prefdata list` and `prefdata describe` on the command line."""

from __future__ import annotations

import json

import pytest

from prefdata.cli.app import main


def test_kinds_and_settings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "judges"]) == 0
    assert "\npointwise " in capsys.readouterr().out
    assert main(["describe", "judge", "pointwise"]) == 0
    assert "kind: pointwise" in capsys.readouterr().out
    assert main(["describe", "filter", "ches", "--json"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["kind"] == {
        "const": "ches",
        "default": "ches",
        "title": "Kind",
        "type": "string",
    }
    assert main(["describe", "judge", "pointwize"]) == 2
    assert "did you mean 'pointwise'?" in capsys.readouterr().err
    assert main(["describe"]) == 2
    assert "Missing argument 'what'" in capsys.readouterr().err
