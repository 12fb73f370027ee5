"""Whether a stage has too many faulty records, and what the first of them were."""

from __future__ import annotations

import polars as pl

from prefdata.tables import Table, read_bucket, read_info

FEW_ORIGINS = 3
"""Faults of no more prompts (or rows of a source) than this are few, whatever share they are …"""
LARGEST_SHARE = 0.1
"""… up to this one: in a small run a single prompt is more than any sensible fraction."""


def allows_faults(limit: float, faults: int, rows: int, origins: int) -> bool:
    """Whether a stage may go on.

    Args:
        limit: Its max_faulty_fraction; 0 allows no fault at all.
        faults: The number of faulty records.
        rows: The number of all records.
        origins: The number of prompts, or rows of a source, that the faulty ones are of.
    """
    few = origins <= FEW_ORIGINS and faults <= LARGEST_SHARE * rows
    return faults <= limit * rows or (few and limit > 0)


def read_faults(dropped: Table) -> pl.DataFrame:
    """origin, reason and detail of the faulty records that a stage dropped, sorted."""
    info = read_info(dropped)
    columns = ["origin", "reason", "detail", "fault"]
    frames = [read_bucket(dropped, bucket, info, columns) for bucket in range(info.buckets)]
    return pl.concat(frames).filter("fault").drop("fault").sort("origin", "reason", "detail")
