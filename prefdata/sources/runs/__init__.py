"""Agents' runs: how a log of each form is read, and how the runs of a task are aligned."""
