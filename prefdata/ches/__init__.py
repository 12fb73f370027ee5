"""CHES: centered hidden embedding similarity (arXiv 2410.08847)."""
