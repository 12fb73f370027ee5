"""What a stage asked of its models: requests, hits, tokens, seconds."""

from __future__ import annotations

from pydantic import BaseModel


class Usage(BaseModel):
    """Counters of one model and operation; they add up over buckets and workers."""

    requests: int = 0
    cached: int = 0
    failed: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """The sum, field by field."""
        return Usage(**{k: getattr(self, k) + getattr(other, k) for k in Usage.model_fields})

    def line(self) -> str:
        """For people: requests, how many were cached, rates."""
        asked = self.requests - self.cached
        parts = [f"{self.requests} requests", f"{self.cached} cached"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if asked and self.seconds > 0:
            parts.append(f"{asked / self.seconds:,.0f} requests/s")
            if self.tokens:
                parts.append(f"{self.tokens / self.seconds:,.0f} tokens/s")
        return ", ".join(parts)
