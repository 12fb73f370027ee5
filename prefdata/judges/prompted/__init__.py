"""Judges that put a question to a model."""
