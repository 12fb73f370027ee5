"""What became of a prompt: its rows in every table of a run, and in a version of the dataset."""
