"""What a second run may ask, and where the parts of the first one stand."""

from __future__ import annotations

# What the second run asks, held against the first one.
HIT = "nothing that the first one did not ask"
MORE = "all that the first one asked, and more"
NEW = "some of it anew"
MISS = "all of it anew"

NEAR_IDENTICAL, DUPLICATES, CHES = 0, 1, 2
EMBEDDING, PAIRWISE, IMPLICIT = 0, 1, 2
