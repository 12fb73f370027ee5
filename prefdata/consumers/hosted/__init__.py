"""Services that train a model for their customers."""
