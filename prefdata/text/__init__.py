"""Texts: their words, runs of words, and what else can be counted in them."""
