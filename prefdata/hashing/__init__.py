"""Content ids and digests of rows."""
