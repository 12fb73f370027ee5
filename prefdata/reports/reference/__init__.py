"""The reference: every kind and setting, as commands print it and as the docs' pages list it."""
