"""The page of exit codes and of the errors behind them."""

from __future__ import annotations

from prefdata import errors
from reference.markdown import paragraph, table

MEANINGS = {
    0: "done",
    1: "stopped by an error; what was finished is kept",
    2: "wrong configuration or command; no work was started",
    3: "the tables were written, but more records of a stage were faulty than its "
    "`max_faulty_fraction` allows, where `run` stops, or the flow came to no pair, and there is no "
    "dataset, or what was verified or checked is unsound",
    130: "interrupted by Ctrl-C; the same command continues",
    143: "interrupted by SIGTERM; the same command continues",
}


def exit_codes_page() -> str:
    """The codes, then every error with its code."""
    text = "# Exit codes and errors\n\n"
    text += table(["exit code", "meaning"], [(f"`{c}`", m) for c, m in MEANINGS.items()])
    text += (
        "\nAn error says what was found and, as its remedy, the setting or step that mends it.\n\n"
    )
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PrefdataError)
    ]
    rows = [(f"`{k.__name__}`", f"`{k.exit_code}`", paragraph(k.__doc__)) for k in kinds]
    return text + table(["error", "exit code", "when"], rows)
