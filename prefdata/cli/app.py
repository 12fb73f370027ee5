"""The command line: one command a stage, `run` for all of them."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefdata import __version__
from prefdata.cli import audit as audit_command
from prefdata.cli import memo as memo_command
from prefdata.config import Params, load_params
from prefdata.errors import PrefdataError
from prefdata.pipelines.beam.signals import graceful

_STAGES = {
    "reward-head": "train the linear reward head over frozen embeddings",
    "ingest": "prompts from JSONL, Parquet or HH transcripts",
    "generate": "n on-policy answers a prompt",
    "judge": "every judge's judgment of every two responses, and their consensus",
    "score": "CHES of every ordered pair of a prompt's responses",
    "pair": "agreed comparisons become pairs",
    "augment": "rewards, margin and judgments beside each pair",
    "filter": "pairs that teach the wrong thing, or nothing, out",
    "export": "the versioned dataset",
}

_EPILOG = """\
examples:
  prefdata run                                    the whole way, by params.yaml
  prefdata run --params recipes/demo.yaml --set generate.n=8
  prefdata judge --set judge.consensus.min_confidence=0.6
  prefdata run --json | tail -n 1                 figures for a script
  prefdata filter --dry-run                       what each filter would drop

Options that prefdata does not know go to Beam:
  prefdata generate --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp
  prefdata run --direct_running_mode=multi_processing --direct_num_workers=2

exit codes: 0 done; 1 stopped, what was finished is kept; 2 wrong configuration or command;
3 a stage is done, but more of its records were faulty than max_faulty_fraction allows, and
`run` stops there; 130 interrupted (143 by SIGTERM).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors go to standard error and into the exit code."""
    parser = build_parser()
    given, beam_arguments = parser.parse_known_args(arguments)
    with graceful() as stop:
        try:
            _prepare(given.verbose)
            _check_beam(parser, given, beam_arguments)
            return int(given.run(given, beam_arguments))
        except PrefdataError as error:
            print(f"prefdata {given.command}: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print(
                f"prefdata {given.command}: interrupted. Finished model calls are kept; the same "
                "command goes on from there.",
                file=sys.stderr,
            )
            return stop.exit_code()


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    parser = argparse.ArgumentParser(
        prog="prefdata",
        description="Preference data for aligning language models.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"prefdata {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "run", "all stages in order", _run)
    for name, text in _STAGES.items():
        stage = _add(commands, name, text, _filter if name == "filter" else _stage)
        if name == "filter":
            stage.add_argument(
                "--dry-run",
                action="store_true",
                help="print what each filter would drop, and write no table; model calls are made "
                "and remembered",
            )
    _add(commands, "top-up", "plan more samples for prompts short of accepted pairs", _top_up)
    _add(commands, "status", "what each stage's table holds and what fell out", _status)
    audit = _add(commands, "audit", audit_command.HELP, _audit, audit_command.EPILOG)
    audit_command.add_arguments(audit)
    _add_memo(commands)
    schemas = _add(commands, "schemas", "write the JSON Schema of every record", _schemas)
    schemas.add_argument("--out", default="schemas", help="folder (default: schemas)")
    return parser


def _add_memo(commands: Any) -> None:
    memo = commands.add_parser(
        "memo",
        help=memo_command.HELP,
        description=memo_command.HELP[0].upper() + memo_command.HELP[1:] + ".",
        epilog=memo_command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = memo.add_subparsers(dest="action", required=True)
    for name, what in memo_command.ACTIONS.items():
        action = _add(actions, name, what, _memo, memo_command.EPILOG)
        memo_command.add_arguments(name, action)


def _add(
    commands: Any, name: str, text: str, run: Any, epilog: str = _EPILOG
) -> argparse.ArgumentParser:
    parser = _parser(commands, name, text, run, epilog)
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a value of params.yaml, such as generate.n=8; may be repeated",
    )
    return parser


def _parser(commands: Any, name: str, text: str, run: Any, epilog: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--verbose", action="store_true", help="what Beam and the models log, too")
    return parser


def _check_beam(
    parser: argparse.ArgumentParser, given: argparse.Namespace, unknown: Sequence[str]
) -> None:
    if not unknown:
        return
    if given.command in ("status", "audit", "memo", "schemas", "reward-head", "ches"):
        parser.error(f"{given.command} runs no pipeline, so it takes no {' '.join(unknown)}")
    known, takes_value = _beam_flags()
    wrong, value_may_follow = [], False
    for word in unknown:
        if word.startswith("-"):
            value_may_follow = "=" not in word and _flag(word) in takes_value
            if _flag(word) not in known:
                wrong.append(word)
        elif value_may_follow:
            value_may_follow = False
        else:
            wrong.append(word)
    if wrong:
        parser.error(f"neither prefdata nor Beam knows {' '.join(wrong)}")


def _flag(argument: str) -> str:
    return argument.partition("=")[0].lstrip("-")


def _beam_flags() -> tuple[set[str], set[str]]:
    """Beam's options, and those of them that take a value."""
    from apache_beam.options.pipeline_options import PipelineOptions

    parser: Any = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, conflict_handler="resolve"
    )
    for options in PipelineOptions.__subclasses__():
        if hasattr(options, "_add_argparse_args"):
            options._add_argparse_args(parser)
    actions = [(flag.lstrip("-"), a) for a in parser._actions for flag in a.option_strings]
    return {flag for flag, _ in actions}, {flag for flag, a in actions if a.nargs != 0}


def _run(given: argparse.Namespace, beam_arguments: list[str]) -> int:
    params = _params(given)
    sections = {"reward-head": params.reward_head, "score": params.score}
    skipped = [name for name, section in sections.items() if section is None]
    names = [name for name in _STAGES if name not in skipped]
    return _execute(given, params, names, beam_arguments)


def _stage(given: argparse.Namespace, beam_arguments: list[str]) -> int:
    return _execute(given, _params(given), [given.command], beam_arguments)


def _filter(given: argparse.Namespace, beam_arguments: list[str]) -> int:
    if not given.dry_run:
        return _stage(given, beam_arguments)
    from prefdata.reports.filters import dry_run

    _say(given, *dry_run(_params(given), beam_arguments, given.quiet))
    return 0


def _execute(
    given: argparse.Namespace, params: Params, names: list[str], beam_arguments: list[str]
) -> int:
    from prefdata.pipelines.beam.signals import keep
    from prefdata.pipelines.check import check_parts
    from prefdata.pipelines.run import Runner
    from prefdata.pipelines.stages.base import close_engines, options
    from prefdata.reports.funnel import funnel, summary

    options(beam_arguments)
    check_parts(params, names)
    # Beam alone is half a million objects, and rows read as objects would have the collector walk
    # over all of them time and again.
    gc.freeze()
    runner = Runner(params, names, beam_arguments, given.quiet)
    try:
        if given.command == "run":
            runner.run_all()
        else:
            runner.run(given.command)
    finally:
        close_engines()
        # Threads that work on other buckets end with the process, whatever they are at.
        keep()
    _say(given, summary(params, runner.seconds), funnel(params, runner.seconds))
    return 0


def _top_up(given: argparse.Namespace, beam_arguments: list[str]) -> int:
    from prefdata.inference.progress import Progress
    from prefdata.pipelines.check import check_parts
    from prefdata.pipelines.stages import top_up
    from prefdata.pipelines.stages.base import options
    from prefdata.reports.funnel import funnel, summary

    params = _params(given)
    options(beam_arguments)
    check_parts(params, [given.command])
    found = top_up.run_stage(params, beam_arguments, given.quiet)
    Progress(given.quiet).line(found.line())
    _say(given, summary(params, {}), funnel(params, {}))
    return 0


def _status(given: argparse.Namespace, _: list[str]) -> int:
    from prefdata.reports.filters import last_funnel
    from prefdata.reports.funnel import funnel, summary

    params = _params(given)
    text = "\n\n".join(part for part in (funnel(params, {}), last_funnel(params)) if part)
    _say(given, summary(params, {}), text)
    return 0


def _audit(given: argparse.Namespace, _: list[str]) -> int:
    from prefdata.reports.audit import run

    _say(given, *run(_params(given), given.labels, given.calibrate, given.win_matrices))
    return 0


def _memo(given: argparse.Namespace, _: list[str]) -> int:
    from prefdata.reports import memo

    params = _params(given)
    if given.action == "drop":
        _say(given, *memo.drop(params, given.model))
    else:
        _say(given, *getattr(memo, given.action)(params))
    return 0


def _schemas(given: argparse.Namespace, _: list[str]) -> int:
    from prefdata.config.json_schema import write_schemas

    for path in write_schemas(Path(given.out)):
        print(path)
    return 0


def _params(given: argparse.Namespace) -> Params:
    return load_params(given.params, given.set)


def _say(given: argparse.Namespace, figures: dict[str, Any], table: str) -> None:
    if given.json:
        import orjson

        print(orjson.dumps(figures).decode())
    else:
        print(table)


def _prepare(verbose: bool) -> None:
    """The libraries' own progress bars and warnings would bury ours.

    And OpenMP threads must sleep while they wait: spinning, two workers on two cores are twenty
    times slower than one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if verbose:
        logging.basicConfig(level=logging.INFO)
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("prefdata").setLevel(logging.WARNING)
    for name in ("apache_beam", "root", "transformers", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
