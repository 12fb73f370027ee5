"""Sources: what prompts are read from, and how a row becomes a prompt."""
