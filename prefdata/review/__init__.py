"""People in the loop: which comparisons they are shown, in whose tool, and what they answered."""
