"""Reports: the figures of a run, as models, and the renderer that prints them."""
