"""Filters that look at a pair: how its two responses differ, or how it stands among others."""
