"""Models that another process serves over HTTP, by OpenAI's API."""
