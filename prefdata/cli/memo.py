"""The arguments of `prefdata memo`; light, because every start of the command line reads them."""

from __future__ import annotations

import argparse

HELP = "what the memo of finished model calls holds; merge its segments; drop a model"

ACTIONS = {
    "stats": "size, segments, entries and duplicates by operation and model, and the last hits",
    "compact": "merge small segments into large ones sorted by place, and drop duplicates",
    "drop": "remove all entries of one model",
}

EPILOG = """\
examples:
  prefdata memo stats
  prefdata memo stats --json | jq .entries
  prefdata memo compact                           after long runs; safe beside a running one
  prefdata memo drop --model reference

compact writes all merged segments before it removes the first of those they replace: it needs as
much free space as the memo takes, loses nothing when it is killed, and can be called again.
"""


def add_arguments(action: str, parser: argparse.ArgumentParser) -> None:
    """What the action takes, beside what all commands take."""
    if action == "drop":
        parser.add_argument(
            "--model",
            required=True,
            help="a name in params.yaml, or a fingerprint that `prefdata memo stats` shows",
        )
