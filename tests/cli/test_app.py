"""The app: what it lists, what it loads, its exit codes and how it says what is wrong."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flows
import pytest
import typer

from prefdata import __version__
from prefdata.cli import inspection
from prefdata.cli.app import build_app, main
from prefdata.cli.command import prepare_logging, print_crash
from prefdata.cli.stages import SUMMARIES
from prefdata.errors import ModelError, TooManyFaulty
from prefdata.pipelines.beam.flags import find_unknown
from prefdata.pipelines.stages.registry import STAGES


def list_commands() -> Iterator[tuple[list[str], typer.core.TyperCommand]]:
    """The words of every command, and the command."""
    for name, command in typer.main.get_command(build_app()).commands.items():
        for inner, nested in getattr(command, "commands", {}).items():
            yield [name, inner], nested
        if not hasattr(command, "commands"):
            yield [name], command


COMMANDS = {" ".join(words): command for words, command in list_commands()}


def loaded_by(command_lines: list[list[str]], modules: tuple[str, ...]) -> list[str]:
    """Those of the modules that the command lines have imported at their end, one after another."""
    code = (
        "import sys; from prefdata.cli.app import main; "
        f"assert [main(line) for line in {command_lines!r}] == [0] * {len(command_lines)}; "
        f"print('LOADED', *[m for m in {modules!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def test_every_stage_has_its_command_and_summary() -> None:
    assert {stage.name: stage.summary for stage in STAGES} == SUMMARIES
    assert set(SUMMARIES) <= set(COMMANDS)


def test_help_lists_every_command_and_loads_next_to_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f" {name.split()[0]} " in printed for name in COMMANDS)
    # typer itself reads options by pydantic.
    heavy = ("polars", "numpy", "pyarrow", "apache_beam", "torch", "yaml", "prefdata.config")
    assert loaded_by([["--help"], *([*name.split(), "--help"] for name in COMMANDS)], heavy) == []


def test_a_command_that_runs_no_pipeline_loads_no_beam(tmp_path: Path) -> None:
    params = str(flows.write_params(tmp_path))
    lines = [[*command, "--params", params] for command in (["status"], ["memo", "stats"])]
    assert loaded_by(lines, ("apache_beam", "torch")) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_that_are_understood(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main([*name.split(), "--help"]) == 0
    epilog = COMMANDS[name].epilog.replace("\\[", "[")
    examples = [line.strip() for line in epilog.splitlines() if line.startswith("  ")]
    assert examples
    assert all(example in capsys.readouterr().out for example in examples[:1])
    for example in examples:
        # A pipe or a remark, two spaces away, ends the command.
        words = re.split(r" \||  +", example)[0].split()
        assert words[: 1 + len(name.split())] == ["prefdata", *name.split()]
        options = {option for p in COMMANDS[name].params for option in p.opts}
        given = [word for word in words if word.startswith("--")]
        assert find_unknown([w for w in given if w.split("=")[0] not in options]) == []


def test_every_command_has_examples_of_its_own() -> None:
    shown: dict[str, set[str]] = {}
    for name, command in COMMANDS.items():
        for line in command.epilog.splitlines():
            if line.startswith("  ") and line.strip() != f"prefdata {name}":
                shown.setdefault(line.strip().replace(name, "NAME", 1), set()).add(name)
    own = {name for names in shown.values() if len(names) == 1 for name in names}
    plain = {"memo compact", "status"}
    assert own | plain >= set(COMMANDS)
    assert [line for line, names in shown.items() if len(names) > 2] == []


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"prefdata {__version__}\n"


def test_an_error_says_what_to_do_and_gives_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TooManyFaulty("3 of 4 are faulty", "Mend them.")

    monkeypatch.setattr(inspection, "print_funnel", fail)
    assert main(["status", "--params", str(flows.write_params(tmp_path))]) == 3
    printed = capsys.readouterr()
    assert printed.err == "prefdata status: 3 of 4 are faulty\n  remedy: Mend them.\n"
    assert printed.out == ""


def test_no_error_reaches_the_terminal_raw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("the server said: \x1b]0;owned\x07\u202e", "Ask\x9b2J it.")

    monkeypatch.setattr(inspection, "print_funnel", fail)
    assert main(["status", "--params", str(flows.write_params(tmp_path))]) == 1
    assert main(["st\x1b[2Jatus"]) == 2
    try:
        raise ValueError("\x1b[2J of a row")
    except ValueError as error:
        print_crash(type(error), error, error.__traceback__)
    prepare_logging(False)
    record = logging.LogRecord("prefdata", logging.ERROR, "", 0, "a \x1b[2J row", None, None)
    own = [h for h in logging.root.handlers if type(h.formatter).__module__.startswith("prefdata")]
    said = capsys.readouterr().err + "".join(handler.format(record) for handler in own)
    assert said.count("\\x1b") >= 3
    assert all(line.isprintable() for line in said.splitlines())


def test_an_interrupted_command_says_that_it_can_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspection, "print_funnel", interrupt)
    assert main(["status", "--params", str(flows.write_params(tmp_path))]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_schemas_writes_and_lists_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schemas", "--out", str(tmp_path / "s")]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert sorted(listed) == sorted(map(str, (tmp_path / "s").iterdir()))
