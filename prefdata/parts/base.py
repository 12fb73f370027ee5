"""The contract that all parts share: a configuration with its kind, and what is built from it."""

from __future__ import annotations

import inspect
import sys
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from prefdata.engines.base import Requirement


def _require_kind(schema: dict[str, Any], config: type[BaseModel]) -> None:
    """In JSON Schema the kind, which has a default for those who write Python, is required."""
    if not getattr(config, "kind_optional", False):
        schema["required"] = ["kind", *schema.get("required", [])]


class PartConfig(BaseModel):
    """The settings of one part in params.yaml.

    A part's configuration narrows `kind` to its own name and adds its settings:

        class LoudnessConfig(JudgeConfig):
            kind: Literal["loudness"] = "loudness"
            scale: Scale = Field(1.0, description="...", examples=[2.0])

    `examples` holds another value of a setting that has a meaning of its own; the tests of all
    parts change each setting to it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=_require_kind, defer_build=True
    )

    kind: str

    kind_optional: ClassVar[bool] = False
    """Whether params.yaml may leave the kind out: it is the default of its package."""

    example: ClassVar[Mapping[str, Any]] = {}
    """Settings that make a working part, for tests and docs; empty where the defaults suffice."""

    asks_again: ClassVar[frozenset[str]] = frozenset()
    """Settings that are part of the requests: changing one of them asks the models again. Changing
    any other setting costs no model call."""


class Part(ABC):
    """One judge, consensus, strategy, augmentation, filter, export or source.

    The constructor is cheap and reads nothing: it runs wherever a name or a requirement is asked
    for. `setup` loads what the part works with, once per process.
    """

    config_type: ClassVar[type[PartConfig]]
    """Set from the annotation of `config`."""
    kind: ClassVar[str]
    """Set from `config_type`; abstract parts have none."""

    config: PartConfig

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        annotation = inspect.get_annotations(cls).get("config")
        if isinstance(annotation, str):
            annotation = vars(sys.modules[cls.__module__]).get(annotation)
        if isinstance(annotation, type) and issubclass(annotation, PartConfig):
            cls.config_type = annotation
            default = annotation.model_fields["kind"].default
            if isinstance(default, str):
                cls.kind = default

    def __init__(self, config: PartConfig, where: str = "") -> None:
        """`where` is the configuration's place in params.yaml, such as judge.judges.0; errors
        name it."""
        self.config = config
        self.where = where or self.kind

    def requirements(self) -> Sequence[Requirement]:
        """The model calls that it will make; checked before any work."""
        return ()

    def setup(self) -> None:
        """Load the files and packages that it works with. Called once per process before any work,
        and by the checks before a run. Raises ConfigError with the setting to change."""
