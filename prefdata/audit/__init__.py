"""The audit of judges: what influences their verdicts besides the quality of responses."""
