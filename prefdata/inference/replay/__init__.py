"""Remembered model calls, asked again: what comes back now, and how far it is from the memo's."""
