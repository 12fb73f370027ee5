"""Embeddings of texts, and clusters of them."""
