"""The published dataset: its folder, manifest, version and card."""
