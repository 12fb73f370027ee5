"""One part of each kind for prefdata, from a package of its own."""
