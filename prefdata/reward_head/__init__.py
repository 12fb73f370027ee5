"""The linear reward head over frozen embeddings: its settings, features, training and file."""
