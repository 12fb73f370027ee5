"""Trainers that are run on one's own machines."""
