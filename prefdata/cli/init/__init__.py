"""`prefdata init`: a first params.yaml, from flags or answers."""
