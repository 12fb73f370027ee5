"""Reports: what is known of a run, as models, and one renderer that prints them."""
