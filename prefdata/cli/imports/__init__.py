"""`prefdata import`: datasets with their labels, and the record of a run from the hub."""
