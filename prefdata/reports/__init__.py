"""What a run is reported as: figures, and text for people."""
