"""A check that runs in a process of its own and does there what a row says."""

from __future__ import annotations

import os

from prefdata.judges.checking.bounded import Checked


def do(deed: str, text: str) -> Checked:
    """Check nothing; do the deed."""
    if deed == "spin":
        while True:
            pass
    if deed == "exit":
        os._exit(0)
    if deed == "raise":
        raise RuntimeError(text)
    if deed == "print":
        print("[1.0, null, null]", flush=True)
    return 0.5, None, text
