"""Filters of pairs, by how the two responses differ or how the pair ranks among others."""
