"""Judges whose reward for a response is a number computed by a model."""
