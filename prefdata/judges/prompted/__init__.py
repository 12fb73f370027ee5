"""Judges that prompt a model; the texts they send lie in prompts/."""
