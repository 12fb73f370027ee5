"""Training a policy on a dataset, by the command that the params name."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from prefdata.config.train import PLACEHOLDERS, TrainParams, fill_command
from prefdata.dataset.find import find_version
from prefdata.dataset.manifest import Manifest, read_manifest
from prefdata.errors import AbortError, ConfigError, StorageError
from prefdata.files import storage
from prefdata.files.json_files import write_model
from prefdata.inference.progress import Progress
from prefdata.pipelines.loop.child import hold_work, read_tail, run_command
from prefdata.pipelines.loop.models import (
    check_written,
    count_parameters,
    digest_model,
    locate_model,
)
from prefdata.training.trained import COMPLETED, Inputs, Trained, read_inputs, read_trained

UNFINISHED = ".unfinished"
"""What the folder of a training that is not finished is called, after that of its policy."""
NOTE_SECONDS = 5.0
"""The seconds between two notes of progress."""
_TAIL = 12
_FLOAT32 = 4
_STATES = 3
"""A checkpoint holds the weights and two moments of each."""
_OWN = ["-m", "prefdata.training"]


def train_policy(
    params: TrainParams,
    *,
    dataset: str,
    policy: str,
    reference: str,
    output: str,
    log: str | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy on the newest version of a dataset, or on the version that is named.

    The command works in OUTPUT.unfinished. What it wrote is checked and then moved to `output` at
    once. A training that was stopped goes on there if all of its inputs are the same, else it
    begins anew; on a completed folder nothing is done.

    Args:
        params: The section `train`.
        dataset: A dataset or a version, as for `find_version`.
        policy: The folder or hub id of the model to begin with.
        reference: That of the loss's reference.
        output: The folder of the trained policy.
        log: The file that the command's output is added to; None: OUTPUT.log.
        progress: Where the last line of the log is shown.

    Raises:
        ConfigError: There is no such dataset or export, it has no rows to train on, or `output`
            holds something else.
        StorageError: The disk has no room for the policy and its checkpoints.
        FolderInUse: Another training works there.
        AbortError: The command failed.
        ModelError: There is no such model, or what the command wrote can't take its place.
        KeyboardInterrupt: As it came from outside; the command has ended.
    """
    say = progress or Progress()
    target, kept = Path(output), Path(log or f"{output}.log")
    start, origin = locate_model(policy, "policy"), locate_model(reference, "reference")
    version = find_version(dataset).folder
    manifest = read_manifest(version)
    name = _choose_export(params, manifest, dataset)
    inputs = Inputs(
        dataset=manifest.content_version,
        export=name,
        policy=digest_model(start),
        reference=digest_model(origin),
        command=params.command,
        settings=params.make_settings(),
    )
    work = Path(f"{output}{UNFINISHED}")
    done = _find_done(target, inputs)
    if done:
        shutil.rmtree(work, ignore_errors=True)
        return done
    with hold_work(work) as lock:
        _prepare(work, inputs, say)
        _check_room(work, start, params)
        places = {
            "dataset": Path(version, name),
            "policy": start,
            "reference": origin,
            "output": work / "policy",
            "settings": work / "settings.json",
        }
        command = _make_command(params, {k: str(v.absolute()) for k, v in places.items()})
        began = time.monotonic()
        code = run_command(command, kept, lock, _make_teller(say))
        if code:
            raise _explain_failure(code, kept)
        check_written(work / "policy", start)
        trained = Trained(
            inputs=inputs,
            policy=digest_model(work / "policy"),
            seconds=round(time.monotonic() - began, 3),
            figures=_read_figures(kept),
        )
        write_model(str(work / "policy" / COMPLETED), trained)
        storage.move_folder(str(work / "policy"), output)
        shutil.rmtree(work, ignore_errors=True)
    return trained


def _choose_export(params: TrainParams, manifest: Manifest, dataset: str) -> str:
    exports = manifest.exports
    fitting = [name for name, each in exports.items() if each.kind == "trl"]
    name = params.export or next(iter(fitting), None)
    known = ", ".join(f"{each} ({exports[each].kind})" for each in exports)
    if name is None or name not in exports:
        what = f"no export is called {name!r}" if name else "it has no export of the kind trl"
        raise ConfigError(
            f"{dataset}: {what}; it has {known}",
            "Set train.export to one of these, or add {kind: trl} to export.formats and run: "
            "prefdata export",
        )
    if params.command is None and exports[name].kind != "trl":
        raise ConfigError(
            f"train.export: {name} is of the kind {exports[name].kind}, and the trainer that ships "
            "reads trl",
            f"Name another ({', '.join(fitting) or 'none is there'}), or set train.command.",
        )
    if not exports[name].splits.get("train"):
        raise ConfigError(
            f"{dataset}: the split train of {name} has no rows, so there is nothing to train on",
            "prefdata status says where the pairs fell out.",
        )
    return name


def _find_done(target: Path, inputs: Inputs) -> Trained | None:
    """What a training completed in the folder. Raises ConfigError where it was another one's."""
    done = read_trained(target)
    if done and done.inputs == inputs:
        return done
    if done:
        raise ConfigError(
            f"{target}: a policy was trained there with other inputs "
            f"({done.inputs.explain_difference(inputs)})",
            "Name another folder, or remove this one.",
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(
            f"{target}: something else is there, which no training completed",
            "Name another folder, or move this one away.",
        )
    return None


def _prepare(work: Path, inputs: Inputs, progress: Progress) -> None:
    """Write the files that the command reads; what others left is removed."""
    kept = work / "inputs.json"
    if (work / "policy").is_dir():
        same = read_inputs(kept) == inputs
        progress.note(
            f"  train: {work} has an earlier attempt, which goes on"
            if same
            else f"  train: {work} has an earlier attempt with other inputs: begun anew"
        )
        if not same:
            storage.remove_folder(str(work / "policy"))
    write_model(str(kept), inputs)
    write_model(str(work / "settings.json"), inputs.settings)


def _check_room(work: Path, policy: Path, params: TrainParams) -> None:
    """Raise StorageError where the disk can't hold what the command will write."""
    weights = _FLOAT32 * count_parameters(policy)
    # The last checkpoint is removed when the next one is written.
    saves = params.command is None and params.lora is None and params.checkpoint_minutes is not None
    checkpoints = 2 * _STATES * weights if saves else 0
    used = sum(each.stat().st_size for each in work.rglob("*") if each.is_file())
    free = shutil.disk_usage(work).free + used
    if free < weights + checkpoints:
        raise StorageError(
            f"{work.parent}: {_format(free)} are free, and training writes "
            f"{_format(weights + checkpoints)}: the policy {_format(weights)}, its checkpoints "
            f"{_format(checkpoints)}",
            "Free disk space, or name an output on another disk."
            + (" train.checkpoint_minutes: null writes no checkpoints." if saves else ""),
        )


def _format(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e10 else f"{size / 1e6:,.0f} MB"


def _make_command(params: TrainParams, places: dict[str, str]) -> list[str]:
    if params.command is not None:
        return fill_command(params.command, places)
    named = [word for name in PLACEHOLDERS for word in (f"--{name}", places[name])]
    return [sys.executable, *_OWN, *named]


def _make_teller(progress: Progress) -> Callable[[str], None]:
    last = float("-inf")

    def tell(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= NOTE_SECONDS:
            last = now
            progress.note(f"  train: {line}")

    return tell


def _explain_failure(code: int, log: Path) -> AbortError:
    how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        how += " (out of memory?)"
    tail = "".join(f"\n    {line}" for line in read_tail(log, _TAIL))
    return AbortError(
        f"train.command: it ended with {how}; {log} ends with:{tail or ' nothing'}",
        "Mend what it says and run the same again. What it left in its folder is kept: the trainer "
        "that ships goes on from its last checkpoint.",
    )


def _read_figures(log: Path) -> dict[str, Any]:
    """The JSON object on the log's last line; empty where that is none."""
    for line in read_tail(log, 1):
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}
    return {}
