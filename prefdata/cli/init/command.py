"""`prefdata init`: a first params.yaml for a file of prompts and a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from prefdata.cli.command import Given, add_command
from prefdata.errors import ConfigError
from prefdata.text.controls import escape_controls

_EXAMPLES = """
prefdata init
prefdata init --prompts questions.jsonl --model Qwen/Qwen2.5-0.5B-Instruct
prefdata init --prompts questions.jsonl --engine openai --model tiny --url http://localhost:8000/v1
prefdata init --prompts pairs.jsonl --judges pairwise,pointwise --out relabel.yaml --yes
"""
_MODELS = {
    "transformers": "Qwen/Qwen2.5-0.5B-Instruct",
    "vllm": "Qwen/Qwen2.5-7B-Instruct",
}
"""The model of an engine where none is named; a server's has a name of its own."""

DEFAULT_URL = "http://localhost:8000/v1"

StarterEngine = Literal["transformers", "vllm", "openai"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "init",
        write_params,
        "write a first params.yaml for your prompts and your model; on a terminal it asks for both",
        _EXAMPLES,
        panel="The flow",
        takes_params=False,
    )


def write_params(
    given: Given,
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A file of prompts, or a preference dataset that is to be labelled anew; default: "
            "prompts.jsonl.",
        ),
    ] = None,
    prompt_field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The field of the prompt; default: by its name."),
    ] = None,
    engine: Annotated[
        StarterEngine | None,
        typer.Option(help="What runs the model; default: transformers."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A Hugging Face id, a folder, or as the server calls it."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="The server's address, up to /v1; default: http://localhost:8000/v1."),
    ] = None,
    judges: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,…", help="The judges, see `prefdata list judges`; default: pairwise."
        ),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="The file to write; it must not exist.")
    ] = "params.yaml",
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take the defaults of what is not given.")
    ] = False,
) -> None:
    """`prefdata init`."""
    if Path(out).exists():
        raise ConfigError(f"--out {out}: it exists", "Name another file, or remove it.")
    from prefdata.cli.init.report import describe_found, report_started
    from prefdata.config.starter import Starter
    from prefdata.sources.detect import detect_source

    ask = _ask if _has_terminal() and not (yes or given.json) else _take_default
    prompts = prompts or ask("Prompts, a file", "prompts.jsonl")
    found = detect_source(prompts, prompt_field)
    if not given.json:
        typer.echo(escape_controls(describe_found(prompts, found)) + "\n")
    chosen: Any = engine or ask("Engine", "transformers", list(get_args(StarterEngine)))
    if chosen == "openai":
        url = url or ask("Address of the server", DEFAULT_URL)
    elif url:
        raise ConfigError(f"--url {url} is for a server", "Set --engine openai, or leave it out.")
    model = model or ask("Model", _MODELS.get(chosen))
    named = judges or ask("Judges", "pairwise")
    starter = Starter(
        found.settings,
        engine=chosen,
        model=model,
        url=url or DEFAULT_URL,
        judges=[name.strip() for name in named.split(",")],
        annotations=found.annotations,
        name=Path(prompts).name.partition(".")[0] or "preferences",
    )
    text = starter.render(out)
    try:
        with open(out, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(
            f"--out {out}: can't be written ({error})", "Name another file."
        ) from None
    given.print_report(report_started(out, prompts, found))


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(question: str, default: str | None, choices: list[str] | None = None) -> str:
    """The answer on the terminal."""
    from rich.prompt import Prompt

    while True:
        try:
            answer = Prompt.ask(question, default=default, choices=choices)
        except EOFError:
            raise KeyboardInterrupt from None
        if answer:
            return answer


def _take_default(question: str, default: str | None, choices: list[str] | None = None) -> str:
    """The default. Raises ConfigError if there is none."""
    if default is None:
        raise ConfigError(
            f"{question.lower()}: there is no default", f"Name it with --{question.lower()}."
        )
    return default
