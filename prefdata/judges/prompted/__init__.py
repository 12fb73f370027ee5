"""Judges that prompt a model; their templates are in prompts/."""
