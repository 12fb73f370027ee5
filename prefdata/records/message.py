"""A message: one turn of a conversation, with its thoughts and tool calls where it has any."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]

STRUCTURE = ("thoughts", "tool_calls", "tool_call_id", "name")
"""The fields of a message that most messages lack. Where they are null, the message is exactly its
role and content: for its digests, for a chat template and for a trainer."""


class ToolCall(BaseModel):
    """A call of a tool, as the model asked for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = Field(
        None, description="What the result refers to; null: the model gave none."
    )
    name: str = Field(description="The tool's name.")
    arguments: str = Field(description="The arguments as JSON text: an object, with sorted keys.")


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str = Field(description="The text, without thoughts and calls; may be empty.")
    thoughts: str | None = Field(
        None, description="What an assistant thought before it responded; null: no thoughts."
    )
    tool_calls: list[ToolCall] | None = Field(
        None, description="The tools that an assistant calls; null: none."
    )
    tool_call_id: str | None = Field(
        None, description="In a tool's turn: the id of the call that it is the result of."
    )
    name: str | None = Field(None, description="In a tool's turn: the tool's name.")
