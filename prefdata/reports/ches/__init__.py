"""What `prefdata ches` says of a dataset."""
