"""Which of the two forms of CHES to go by: words for every setting that chooses."""

from __future__ import annotations

WHICH_MEASURE = (
    "ches_normalized (unless set) says which pairs displace their chosen response: after DPO on "
    "SmolLM2-135M-Instruct it ordered 0.75 of displaced and other pairs rightly, ches 0.55, the "
    "similarity of the two responses 0.83. How far the log-probability moves is another question: "
    "on the demo policy it had a rank correlation of 0.04 with that, ches 0.65, length alone 0.76."
)
"""Said wherever one of the two is chosen."""
