"""The contract of a reply format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl

from prefdata.engines.base import Call, Sampling, Structure
from prefdata.inference.loop import Inference
from prefdata.judges.asking.conversation import ONCE, append_to_last_turn
from prefdata.judges.asking.formats.replies import Reply
from prefdata.judges.asking.templates import fill_template, read_template
from prefdata.judges.asking.written import find_unreadable

FormatName = Literal["logits", "choice", "json_schema", "regex", "text"]


class ReplyFormat(ABC):
    """One way in which a model replies: how it is asked to, and how what comes back is read.

    Args:
        reply: What is asked for.
        max_tokens: The longest reply, where one is written.
        setting: The setting in params.yaml that raises `max_tokens`, for messages.
    """

    name: ClassVar[FormatName]
    weighs: ClassVar[bool] = False
    """Whether the model gives log-probs in place of a text."""

    def __init__(self, reply: Reply, max_tokens: int, setting: str) -> None:
        self.reply, self.max_tokens, self.setting = reply, max_tokens, setting

    @property
    @abstractmethod
    def call(self) -> Call:
        """What the model is asked to do."""

    def ask(self, inference: Inference, model: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Ask the model for a reply to each conversation and read it.

        Args:
            inference: Where models are asked.
            model: The model's name under models.
            rows: prompt_id and messages, whose last turn asks for the reply.

        Returns:
            What `parse` does.
        """
        asked = self.instruct(rows).with_columns(ONCE)
        return self.parse(inference.ask(model, self.call.operation, self.call.settings, asked))

    def instruct(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with what the model has to be told of the format at the end of `messages`."""
        return rows

    @abstractmethod
    def parse(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Read the results of the call.

        Returns:
            One row per result: the column `reply.value` (a list, one number per option; null
            where there is no verdict), `unscored` (why there is none) and `written` (the text;
            null where none was written).
        """

    @abstractmethod
    def write(self, ranking: Sequence[str]) -> str:
        """What a judge replies that ranks the options so, for demonstrations."""


class WrittenFormat(ReplyFormat):
    """A reply that is written: the likeliest text, held to a structure where there is one."""

    @property
    def structure(self) -> Structure | None:
        """What the engine holds the reply to."""
        return None

    @property
    def call(self) -> Call:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, structure=self.structure)
        return Call("generate", sampling)

    @property
    def form(self) -> str:
        """What was expected of the text, for messages."""
        return f"no_verdict: expected {self.reply.expected} and nothing else"

    def extract(self, text: pl.Expr) -> pl.Expr:
        """What stands where the reply has to; null where nothing does."""
        return text

    def reject(self, text: pl.Expr) -> pl.Expr:
        """Why the text holds no reply whatever stands in the right place; null: it may."""
        return pl.lit(None, dtype=pl.String)

    def is_well_formed(self, reply: pl.Expr) -> pl.Expr:
        """Whether what was extracted is written as a reply is."""
        return reply.str.contains(self.reply.pattern)

    def parse(self, asked: pl.DataFrame) -> pl.DataFrame:
        reply = pl.col("reply")
        wrong = pl.format(
            self.reply.wrong,
            reply.str.head(self.reply.quoted_chars),
            pl.lit(self.reply.expected),
        )
        own = pl.col("own")
        read = (
            find_unreadable(asked, self.setting)
            .with_columns(reply=self.extract(own))
            .with_columns(
                unscored=pl.coalesce(
                    "unscored",
                    self.reject(own),
                    pl.when(reply.is_null()).then(pl.lit(self.form)),
                    pl.when(~(self.reply.fits(reply) & self.is_well_formed(reply))).then(wrong),
                )
            )
        )
        values = pl.when(pl.col("unscored").is_null()).then(self.reply.read(reply))
        return read.select(values.alias(self.reply.value), "unscored", "written")

    def write(self, ranking: Sequence[str]) -> str:
        return self.reply.write(ranking)

    def append_instruction(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with prompts/KEY_FORMAT.txt at the end of the last turn."""
        template = read_template(f"{self.reply.key}_{self.name}")
        instruction = fill_template(template, form=pl.lit(self.reply.form))
        return rows.with_columns(messages=append_to_last_turn(pl.col("messages"), instruction))
