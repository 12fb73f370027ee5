"""Judges that take a model's number for each response as its reward."""
