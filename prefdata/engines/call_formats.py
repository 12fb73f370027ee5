"""How a model writes its calls: by its settings, or by its chat template, without weights."""

from __future__ import annotations

from prefdata.engines.config import ModelConfig
from prefdata.engines.model_files import read_template
from prefdata.messages.tool_calls import CallFormat, detect_call_format


def choose_call_format(config: ModelConfig, auto: CallFormat | None) -> CallFormat | None:
    """The format that the setting `tool_calls` names; `auto` where it names none."""
    if config.tool_calls == "auto":
        return auto
    return None if config.tool_calls == "none" else config.tool_calls


def read_call_format(config: ModelConfig) -> CallFormat | None:
    """The format of a model whose files are here; None: its texts hold no calls."""
    if config.tool_calls != "auto":
        return choose_call_format(config, None)
    return detect_call_format(read_template(config))
