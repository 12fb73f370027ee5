"""The published dataset: its rows, manifest, version and card."""
