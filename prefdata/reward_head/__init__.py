"""The linear reward head over frozen embeddings."""
