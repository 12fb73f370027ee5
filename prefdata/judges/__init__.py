"""Judges: what one model, verifier or annotator says of the comparisons of a prompt's responses."""
