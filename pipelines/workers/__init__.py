"""Worker processes of this machine, which live as long as their run."""
