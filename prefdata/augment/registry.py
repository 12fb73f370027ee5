"""The augmentations, by the `kind` that params.yaml uses."""

from __future__ import annotations

from prefdata.augment.base import Augmentation
from prefdata.parts import Registry

AUGMENTATIONS: Registry[Augmentation] = Registry(
    Augmentation, ("prefdata.augment",), "prefdata.augmentations"
)
