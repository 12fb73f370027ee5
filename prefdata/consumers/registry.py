"""The consumers, by kind."""

from __future__ import annotations

from prefdata.consumers.base import Consumer
from prefdata.parts import Registry

CONSUMERS: Registry[Consumer] = Registry(
    Consumer,
    (
        "prefdata.consumers.trl",
        "prefdata.consumers.trainers",
        "prefdata.consumers.hosted",
    ),
    "prefdata.consumers",
)
