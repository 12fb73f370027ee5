"""Files, wherever they lie: local paths and fsspec URLs."""
