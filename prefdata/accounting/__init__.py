"""Accounting: what a stage counts, and the check that nothing is lost."""
