"""The arguments of `prefdata ches`; light, because every start of the command line reads them."""

from __future__ import annotations

import argparse

from prefdata.errors import ConfigError

HELP = "score any preference dataset by CHES, see what would go, write a filtered copy"

EPILOG = """\
examples:
  prefdata ches --model demo/policy --data demo/data/preferences.jsonl.gz
  prefdata ches --model Qwen/Qwen2.5-0.5B-Instruct --data HuggingFaceH4/ultrafeedback_binarized \\
      --split train_prefs --limit 2000
  prefdata ches --model demo/policy --data pairs.parquet --keep-quantile 0.9 --out filtered
  prefdata ches --model demo/policy --data pairs.jsonl --columns prompt=q,chosen=good,dropped=bad

The model is the one you are going to train. It reads every response once; finished scores are kept in
--memo, so an interrupted run goes on, and another limit takes no model call. --out FOLDER gets
scores.parquet (a row of it for each of the dataset), report.json and, with a limit, the filtered
copy under the dataset's own file name, in its own format and columns.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes, beside --json, --quiet and --verbose."""
    parser.add_argument("--model", required=True, help="Hugging Face id or folder of the policy")
    parser.add_argument("--data", required=True, help="JSONL, JSON, Parquet, a folder, or a hub id")
    parser.add_argument("--split", help="which split of a hub dataset or folder")
    parser.add_argument("--subset", help="which configuration of a hub dataset")
    parser.add_argument("--revision", help="revision of a hub dataset")
    parser.add_argument("--columns", metavar="NAME=COLUMN,…", help="prompt=…,chosen=…,dropped=…")
    parser.add_argument("--limit", type=int, help="read so many rows and no more")
    keep = parser.add_mutually_exclusive_group()
    keep.add_argument("--keep-quantile", type=float, metavar="Q", help="keep this share, lowest")
    keep.add_argument("--max-ches", type=float, metavar="X", help="keep what is not above it")
    keep.add_argument("--best-of-prompt", type=int, metavar="K", help="keep a prompt's K lowest")
    parser.add_argument(
        "--score",
        choices=("ches_normalized", "ches"),
        default="ches_normalized",
        help="what limits and rankings go by (default: ches_normalized, CHES per token)",
    )
    parser.add_argument("--out", help="folder for scores, report and filtered copy")
    parser.add_argument("--add-columns", action="store_true", help="scores in the copy, too")
    parser.add_argument("--examples", type=int, default=5, help="riskiest pairs shown (default: 5)")
    parser.add_argument("--memo", default="data/memo", help="finished scores (default: data/memo)")
    parser.add_argument("--engine", default="transformers", help="default: transformers")
    parser.add_argument("--model-revision", help="revision of the model")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")
    parser.add_argument("--max-batch-tokens", type=int, default=8192, help="default: 8192")
    parser.add_argument(
        "--max-rejected-fraction",
        type=float,
        default=0.01,
        help="more broken rows than this make exit code 3 (default: 0.01)",
    )


def parse_columns(given: str | None) -> dict[str, str]:
    """`prompt=question,chosen=good` as a mapping; the names on the left are fixed."""
    columns = {}
    for part in (given or "").split(",") if given else []:
        name, sign, column = part.partition("=")
        if not sign or name not in ("prompt", "chosen", "rejected") or not column:
            raise ConfigError(
                f"--columns {given}: {part!r} is not NAME=COLUMN",
                "Name columns as in prompt=question,chosen=good,rejected=bad.",
            )
        columns[name] = column
    return columns
