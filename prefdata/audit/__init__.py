"""The audit of judges: what moves their verdicts beside the responses' quality."""
