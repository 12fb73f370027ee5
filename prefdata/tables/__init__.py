"""Tables: a folder of Parquet files in hash buckets by prompt id."""

from prefdata.tables.layout import (
    FileInfo,
    Reused,
    Table,
    TableInfo,
    bucket_column,
    bucket_of,
    buckets_for,
    list_overlapping,
)
from prefdata.tables.read import read_bucket, read_info, read_table, read_unfinished
from prefdata.tables.write import begin, finish, write_bucket, write_table

__all__ = [
    "FileInfo",
    "Reused",
    "Table",
    "TableInfo",
    "begin",
    "bucket_column",
    "bucket_of",
    "buckets_for",
    "finish",
    "list_overlapping",
    "read_bucket",
    "read_info",
    "read_table",
    "read_unfinished",
    "write_bucket",
    "write_table",
]
