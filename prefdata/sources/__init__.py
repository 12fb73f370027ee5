"""Sources: what prompts are read from. Each kind is a module here; `rows/` reads single rows."""
