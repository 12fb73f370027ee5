"""Which of the two forms of CHES to go by: words for every setting that chooses."""

from __future__ import annotations

WHICH_MEASURE = (
    "ches_normalized (unless set) compares pairs of different length, but on the demo policy its "
    "rank correlation with how far DPO displaces the chosen response was 0.04, that of ches 0.65, "
    "that of the response's length alone 0.76. No real model has been measured yet."
)
"""Said wherever one of the two is chosen."""
