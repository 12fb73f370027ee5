"""Clients: what is sent to a server for each operation, and how its replies become results."""
