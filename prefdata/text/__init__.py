"""Texts: their words, word trigrams and surface features."""
