"""A first params.yaml: short, commented, and fit for the engine that runs the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import yaml
from jinja2 import Environment, StrictUndefined

from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.judges.registry import JUDGES, build_panel
from prefdata.parts.validation import validate
from prefdata.records.annotation import AnnotationKind
from prefdata.text.similar_names import suggest_name

StarterEngine = Literal["transformers", "vllm", "openai"]


@dataclass(frozen=True)
class Starter:
    """What a first params.yaml says.

    Attributes:
        source: The settings of the source.
        engine: The engine that runs the model.
        model: The model, as the engine calls it.
        url: The address of an OpenAI-compatible server.
        judges: The kinds of judges that ask the model.
        annotations: The kinds of the labels in the rows; none: the model responds to the prompts.
            With labels, judges compare the responses that the rows hold.
        data: The folder of all tables.
        name: The dataset's name.
    """

    source: Mapping[str, Any]
    engine: StarterEngine
    model: str
    url: str = ""
    judges: Sequence[str] = ("pairwise",)
    annotations: Sequence[AnnotationKind] = ()
    data: str = "data"
    name: str = "preferences"

    def render(self, path: str) -> str:
        """The file as YAML; `path` is its name in the commands that it shows.

        Raises:
            ConfigError: A judge is unknown, or needs more than the one model.
        """
        role = "judge" if self.annotations else "policy"
        environment = Environment(
            trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
        )
        environment.filters["yaml"] = _inline
        template = (resources.files("prefdata.config") / "starter.yaml.jinja").read_text("utf-8")
        settings = {**vars(self), "judges": self._list_judges(role), "role": role, "path": path}
        text = environment.from_string(template).render(settings)
        _check_models(validate(Params, yaml.safe_load(text), path))
        return text

    def _list_judges(self, role: str) -> list[dict[str, Any]]:
        """People's labels first, then the kinds that were named."""
        # Thumbs beside ratings or rankings say less of the same.
        counted = [kind for kind in self.annotations if kind != "thumb"] or self.annotations
        people = [{"kind": "human", "name": f"human_{k}", "annotations": k} for k in counted]
        return [*people, *(_list_settings(kind, role) for kind in self.judges)]


def _check_models(params: Params) -> None:
    """Refuse a judge that asks a model besides the one that was named."""
    for judge in build_panel(params.judge.judges):
        for need in judge.requirements():
            if need.model not in params.models:
                raise ConfigError(
                    f"the judge {judge.kind} asks a model called {need.model}, too",
                    "Leave it out here, and add it and its model to the file: prefdata describe "
                    f"judge {judge.kind}",
                )


def _list_settings(kind: str, model: str) -> dict[str, Any]:
    """The judge's settings, with the model that it asks."""
    if kind not in JUDGES.parts:
        meant = suggest_name(kind, JUDGES.parts)
        raise ConfigError(f"no judge {kind!r}{meant}; known: {', '.join(JUDGES.parts)}")
    fields = JUDGES.parts[kind].config_type.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    if required - {"model"}:
        raise ConfigError(
            f"the judge {kind} needs settings of its own: {', '.join(sorted(required))}",
            f"Leave it out here, and add it to the file: prefdata describe judge {kind}",
        )
    return {"kind": kind, "model": model} if "model" in required else {"kind": kind}


def _inline(value: Any) -> str:
    """The value as YAML in one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.removesuffix("\n").removesuffix("\n...")
