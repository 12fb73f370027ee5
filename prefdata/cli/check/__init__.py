"""`prefdata check`: what a preference dataset is worth."""
