"""The sections of a page about a run or a version: each of one subject, from plain data."""
