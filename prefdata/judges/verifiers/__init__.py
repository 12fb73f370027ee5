"""Judges that check responses against rules or the ground truth."""
