"""The arguments of `prefdata audit`; light, because every start of the command line reads them."""

from __future__ import annotations

import argparse

HELP = "what moves each judge's verdicts: order, length, itself; agreement and calibration"

EPILOG = """\
examples:
  prefdata audit
  prefdata audit --labels people.csv --json
  prefdata audit --labels human --calibrate data/calibration.json
  prefdata audit --win-matrices data/wins.parquet

labels hold prompt_id, response_a, response_b and preference, the probability that a is better.
Temperatures are used by judge.consensus.calibration. It reads tables and asks no model.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes, beside those that all take."""
    parser.add_argument(
        "--labels", help="a judge of the run, or a .parquet, .csv or .jsonl file of labels"
    )
    parser.add_argument("--calibrate", metavar="FILE", help="fit temperatures to the labels; JSON")
    parser.add_argument("--win-matrices", metavar="FILE", help="write every P(i > j); Parquet")
