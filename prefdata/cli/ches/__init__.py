"""`prefdata ches`: the stage, and the CHES of any preference dataset."""
